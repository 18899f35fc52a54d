/** Dialogs, of the browser's own kind: they hold the focus, and Escape closes them. */
import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { visible } from "../lib/text.js";
import { Button, Name } from "./basic.js";

/**
 * A dialog as long as it is rendered.
 *
 * @param {object} props title; onClose (absent: Escape does not close it); footer: the buttons; children
 */
export function Dialog({ title, onClose, footer, children, wide = false }) {
  const ref = useRef();
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  // A browser lets itself be asked once, and closes the dialog at the second Escape.
  const closed = () => (onClose ? onClose() : ref.current?.showModal());
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel} onClose=${closed}>
    <h2 id=${id}>${title}</h2>
    <div class="dialog-body">${children}</div>
    <div class="dialog-footer">${footer}</div>
  </dialog>`;
}

let open = () => Promise.resolve(false);

/**
 * Ask the user; resolves to true or false.
 *
 * @param {object} question title; text (or any content); yes: the word on the button that says what it does;
 *   no: the one on the button that leaves things as they are, "Cancel" where that cannot be misread; danger
 */
export const ask = (question) => open(question);

/** What is asked about, by the names of its arguments. `entries`: `[name, text]`. */
export const Given = ({ entries }) => entries.length > 0 && html`<dl class="given">${entries.map(([name, text]) => html`<div key=${name}><dt><${Name} text=${name} /></dt><dd>${visible(text)}</dd></div>`)}</dl>`;

/** Holds what `ask` asks; rendered once, by the shell. */
export function Questions() {
  const [question, setQuestion] = useState(null);
  useEffect(() => {
    open = (asked) => new Promise((resolve) => setQuestion({ ...asked, resolve }));
  }, []);
  const answer = (said) => {
    setQuestion(null);
    question?.resolve(said);
  };
  useEffect(() => {
    if (!question) return undefined;
    // Whoever goes back leaves what was asked about.
    const left = () => answer(false);
    addEventListener("popstate", left);
    return () => removeEventListener("popstate", left);
  }, [question]);
  if (!question) return null;
  const footer = html`<${Button} onClick=${() => answer(false)} autofocus>${question.no ?? "Cancel"}<//>
    <${Button} kind=${question.danger ? "danger" : "primary"} onClick=${() => answer(true)}>${question.yes}<//>`;
  return html`<${Dialog} title=${question.title} onClose=${() => answer(false)} footer=${footer}>${question.text}<//>`;
}
