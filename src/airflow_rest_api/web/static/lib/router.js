/**
 * Where the user is, kept in the query of the address: `?view=commands&command=dags/trigger&a.dag_id=x`.
 * The path never changes, so that relative addresses hold and the way over the login leads back to the same place.
 * Nothing secret goes through here.
 */
import { useEffect, useState } from "../vendor/preact.js";

const listeners = new Set();

function read() {
  const params = new URLSearchParams(location.search);
  const view = params.get("view") ?? "commands";
  params.delete("view");
  return { view, params };
}

let current = read();

function changed() {
  current = read();
  for (const listener of listeners) listener(current);
}

addEventListener("popstate", changed);

/** Return the address of a view. `params`: an object, or entries where a name comes several times. */
export function address(view, params = {}) {
  const entries = Array.isArray(params) ? params : Object.entries(params);
  const query = new URLSearchParams([["view", view], ...entries.filter(([, value]) => value != null && value !== "")]);
  // Slashes need no escape in a query, and the address is there to be read.
  return `?${query.toString().replaceAll("%2F", "/")}`;
}

/** Go to a view. `replace`: without a new entry in the history, as for what is typed. */
export function go(view, params = {}, { replace = false } = {}) {
  const target = address(view, params);
  if (target === location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  changed();
}

/** Change the address without telling the views, which know already. */
export function note(view, params = {}) {
  const target = address(view, params);
  if (target !== location.search) history.replaceState(null, "", target);
  current = read();
}

/** The place, and a new rendering when it changes. */
export function useRoute() {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    listeners.add(setRoute);
    setRoute(current);
    return () => listeners.delete(setRoute);
  }, []);
  return route;
}

/** The whole address, for somebody else to open. */
export function link() {
  return location.href;
}
