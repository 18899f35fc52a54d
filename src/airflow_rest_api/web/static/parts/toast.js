/** Short messages that go away by themselves; one of what could not be done stays until it is put away. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { visible } from "../lib/text.js";
import { Button } from "./basic.js";

let add = () => {};

/** Show a message. `tone`: good, bad or idle. */
export const toast = (text, tone = "good") => add({ text, tone });

/** Holds the messages; rendered once, by the shell. */
export function Toasts() {
  const [shown, setShown] = useState([]);
  const away = (id) => setShown((before) => before.filter((one) => one.id !== id));
  useEffect(() => {
    let last = 0;
    add = (message) => {
      const id = ++last;
      setShown((before) => [...before.slice(-3), { ...message, id }]);
      if (message.tone !== "bad") setTimeout(() => away(id), 6000);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">${shown.map((one) => html`<div class="toast tone-${one.tone}" key=${one.id}><span class="grow">${visible(one.text)}</span>
    ${one.tone === "bad" && html`<${Button} kind="quiet" small icon="cross" label="Put away" onClick=${() => away(one.id)} />`}</div>`)}</div>`;
}
