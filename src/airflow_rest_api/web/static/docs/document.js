/** The OpenAPI document, for the two programs that show it, and what goes with each request that is tried. */
import { facts } from "../lib/facts.js";
import { giveHeaderToken, headerToken } from "../lib/session.js";

const said = document.getElementById("said");

/** Show a sentence in place of the reference; nothing with null. */
export function say(text) {
  said.textContent = text ?? "";
  said.hidden = text === null;
}

/** The headers that the server asks for beside the session's cookie. */
export function headers(withUser) {
  const found = {};
  const token = facts.header_token && headerToken();
  if (token) found[facts.header_token] = String.fromCharCode(...new TextEncoder().encode(token));
  // Whoever signed in since, in another tab: nothing is done in their name.
  if (withUser) found["X-Rest-Api-User"] = encodeURIComponent(facts.user);
  return found;
}

/** Fetch the document; null where that cannot be, and then it says why. */
export async function load() {
  for (;;) {
    let answer;
    try {
      answer = await fetch(`${facts.root}/openapi.json`, { headers: headers(false) });
      if (answer.ok) return await answer.json();
    } catch {
      say("The API server cannot be reached.");
      return null;
    }
    const detail = (await answer.json().catch(() => null))?.detail;
    if (detail?.reason !== "header_token") {
      say(answer.status === 401 ? "The session has ended: load the page again." : (detail?.message ?? `The server answered with ${answer.status}.`));
      return null;
    }
    const token = window.prompt(`The server asks for a token in the header ${facts.header_token}:`);
    if (!token) {
      say(detail.message);
      return null;
    }
    giveHeaderToken(token);
  }
}

/** Whether the page is dark now. */
export const dark = () => document.documentElement.dataset.theme === "dark";

/** Call back when light becomes dark or the other way round. */
export function onTheme(listener) {
  let before = dark();
  const changed = () => {
    if (before === dark()) return;
    before = dark();
    listener();
  };
  new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
