/**
 * What stands between a request and its answer: a session that has ended, a header token that is asked for.
 * Whoever meets one of them waits here, and tries again when the user has done something about it.
 */
import { facts, framed } from "./facts.js";

const KEPT = "rest_api_header_token";
const listeners = new Set();
const state = { ended: null, tokenAsked: null, other: null };

function tell() {
  for (const listener of listeners) listener({ ...state });
}

/** Call back at each change; returns the end of it. */
export function watch(listener) {
  listeners.add(listener);
  listener({ ...state });
  return () => listeners.delete(listener);
}

function wait(name) {
  if (!state[name]) {
    state.other = null;
    let done;
    const promise = new Promise((resolve) => (done = resolve));
    state[name] = { promise, done };
    tell();
  }
  return state[name].promise;
}

function over(name) {
  state[name]?.done();
  state[name] = null;
  tell();
}

/** The session has ended: resolves once there is one again. */
export const signedInAgain = () => wait("ended");

/** Whether the session has ended and none has come again. */
export const sessionEnded = () => state.ended !== null;

/** The header token is missing or wrong: resolves once another one was given. */
export const headerTokenGiven = () => wait("tokenAsked");

/** The header token, for the tab's lifetime. */
export function headerToken() {
  try {
    return sessionStorage.getItem(KEPT) ?? kept;
  } catch {
    return kept;
  }
}

let kept = null;

export function giveHeaderToken(token) {
  kept = token;
  try {
    sessionStorage.setItem(KEPT, token);
  } catch {
    // In memory, then.
  }
  over("tokenAsked");
}

/**
 * The header that stands for the session where Airflow's own API takes no cookie (3.0): Airflow's page moves the token
 * from the cookie to its own storage, and sends it like this. Nothing where the cookie is enough.
 */
export function authorization() {
  if (!facts.token_storage) return {};
  const token = /(?:^|;\s*)_token=([^;]+)/.exec(document.cookie)?.[1] ?? stored(facts.token_storage);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Open Airflow's login in a tab of its own, and return it. */
export function openLogin() {
  const target = `${facts.login}?${new URLSearchParams({ next: `${facts.root}/static/signed-in.svg` })}`;
  // A frame of Airflow's may not open windows; its own document may.
  const opener = framed ? window.parent : window;
  return opener.open(target, "_blank");
}

/**
 * Look whether there is a session again. Of another user it is not the one that was waited for: what this one asked
 * for is not sent as somebody else.
 */
export async function look() {
  if (looking) return false;
  looking = true;
  const user = await whoIsSignedIn();
  looking = false;
  if (!state.ended) return user !== null;
  state.other = user === facts.user ? null : user;
  if (user === facts.user) over("ended");
  else tell();
  return user !== null;
}

let looking = false;

/** The user of the session, as the page names them; null where there is none. */
async function whoIsSignedIn() {
  try {
    const answer = await fetch(`${facts.root}/`, { headers: { Accept: "*/*", ...authorization() }, cache: "no-store" });
    if (!answer.ok) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return JSON.parse(page.body.dataset.facts).user;
  } catch {
    return null;
  }
}
