/** Short messages that go away by themselves; nothing that has to be read is only here. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { visible } from "../lib/text.js";

let add = () => {};

/** Show a message. `tone`: good, bad or idle. */
export const toast = (text, tone = "good") => add({ text, tone });

/** Holds the messages; rendered once, by the shell. */
export function Toasts() {
  const [shown, setShown] = useState([]);
  useEffect(() => {
    let last = 0;
    add = (message) => {
      const id = ++last;
      setShown((before) => [...before.slice(-3), { ...message, id }]);
      setTimeout(() => setShown((before) => before.filter((one) => one.id !== id)), 6000);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">${shown.map((one) => html`<div class="toast tone-${one.tone}" key=${one.id}>${visible(one.text)}</div>`)}</div>`;
}
