/**
 * Where the user is, kept in the query of the address: `?view=commands&command=dags/trigger&a.dag_id=x`.
 * The path never changes, so that relative addresses hold and the way over the login leads back to the same place.
 * Nothing secret goes through here.
 *
 * In Airflow's frame, which is always loaded without a place, the address of Airflow's own page keeps it too: loaded anew,
 * or opened by somebody else, it leads there.
 */
import { useEffect, useState } from "../vendor/preact.js";
import { framed } from "./facts.js";

const listeners = new Set();

/** How often the user went back or forward: what a form shows then is in the address. */
let turns = 0;

/** Airflow's pages with a frame of a plugin's. From 3.3 on the address of the frame follows, as of when it was loaded. */
const AROUND = /\/plugin\/[^/]+/;

if (framed && !location.search && new URLSearchParams(parent.location.search).has("view")) history.replaceState(null, "", parent.location.search);

/** Have the address of Airflow's page say where the user is; what Airflow keeps with it stays. */
function tellAround() {
  if (!framed || parent.location.search === location.search || !AROUND.test(parent.location.pathname)) return;
  parent.history.replaceState(parent.history.state, "", parent.location.pathname + location.search);
}

function read() {
  const params = new URLSearchParams(location.search);
  const view = params.get("view") ?? "commands";
  params.delete("view");
  return { view, params, turns };
}

let current = read();

function changed() {
  current = read();
  tellAround();
  for (const listener of listeners) listener(current);
}

addEventListener("popstate", () => {
  turns += 1;
  changed();
});

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
  tellAround();
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
