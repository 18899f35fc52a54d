/** Requests that are to be carried out once: where the answer was lost and the user tries again, and where a press was one too many. */

import { isLost } from "./api.js";

/** A key that nobody else has. `crypto.randomUUID` is not there on plain HTTP. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const same = (one, other) => one.length === other.length && one.every((part, at) => part === other[at]);

/**
 * Return a function for one place that sends something. It calls `send` with the headers that make it be done once: the key
 * is the same as long as no answer of the API has come and what is sent is unchanged, and another one after any answer.
 *
 * @returns {(what: any[], send: (headers: object) => Promise) => Promise} what: all that tells one request from another, as
 *   texts and files
 */
export function once() {
  let kept = null;
  return async (what, send) => {
    if (!kept || !same(kept.what, what)) kept = { what, key: newKey() };
    try {
      const answer = await send({ "Idempotency-Key": kept.key });
      kept = null;
      return answer;
    } catch (error) {
      if (isLost(error)) error.message += " Sent again as it is, it is not done twice.";
      else kept = null;
      throw error;
    }
  };
}

/**
 * Have a double click be one click on what orders something, and an Enter key that is held be pressed once: the answer to the
 * first can have come before the second, which would then be an order of its own.
 */
export function pressOnce() {
  const click = (event) => {
    if (event.detail < 2 || !event.target.closest?.("button.button:not(.quiet)")) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const key = (event) => event.key === "Enter" && event.repeat && !event.target.closest?.("textarea") && event.preventDefault();
  addEventListener("click", click, { capture: true });
  addEventListener("keydown", key, { capture: true });
}
