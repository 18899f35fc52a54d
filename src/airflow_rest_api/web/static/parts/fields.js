/** Form fields: a label, the input, what it means, what is wrong with it. */
import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { size, visible } from "../lib/text.js";
import { Button } from "./basic.js";
import { Icon } from "./icons.js";

/** What an input says of what is told beside it, by the id of its field. */
const told = (id, { hint, error }) => ({ "aria-describedby": [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined, "aria-invalid": error ? "true" : undefined });

const Told = ({ id, hint, error }) => html`${error && html`<p class="field-error" id="${id}-error">${error}</p>`}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}`;

/**
 * The frame of a field. `children`: a function of the attributes that its input has to have.
 *
 * @param {object} props label; hint; error: one sentence; required
 */
export function Field({ label, hint, error, required, children, wide = false }) {
  const id = useId();
  const attributes = { id, ...told(id, { hint, error }), "aria-required": required ? "true" : undefined };
  return html`<div class="field${wide ? " wide" : ""}${error ? " wrong" : ""}">
    <label for=${id}>${label}${required && html`<span class="required" title="required" aria-hidden="true">*</span>`}</label>
    ${children(attributes)}
    <${Told} ...${{ id, hint, error }} />
  </div>`;
}

/** Text. `type`: text, password, number; `onInput` gets the text. */
export const TextField = ({ label, hint, error, required, value, onInput, wide, ...rest }) => html`<${Field} ...${{ label, hint, error, required, wide }}>
  ${(a) => html`<input ...${a} value=${value ?? ""} onInput=${(event) => onInput(event.currentTarget.value)} autocomplete="off" spellcheck=${false} ...${rest} />`}
<//>`;

/** Text of several lines. */
export const AreaField = ({ label, hint, error, required, value, onInput, wide = true, rows = 3, ...rest }) => html`<${Field} ...${{ label, hint, error, required, wide }}>
  ${(a) => html`<textarea ...${a} rows=${rows} value=${value ?? ""} onInput=${(event) => onInput(event.currentTarget.value)} spellcheck=${false} ...${rest}></textarea>`}
<//>`;

/** One of several. `options`: values, or `[value, label]`. */
export const SelectField = ({ label, hint, error, required, value, onInput, options, wide, ...rest }) => html`<${Field} ...${{ label, hint, error, required, wide }}>
  ${(a) => html`<span class="select"><select ...${a} value=${value ?? ""} onChange=${(event) => onInput(event.currentTarget.value)} ...${rest}>
    ${options.map((option) => (Array.isArray(option) ? option : [option, option])).map(([key, name]) => html`<option key=${key} value=${key} selected=${key === (value ?? "")}>${name}</option>`)}
  </select><${Icon} name="down" size="14" /></span>`}
<//>`;

/** Yes or no: a value in either case, so none is missing where one is `required`. */
export function SwitchField({ label, hint, error, required, value, onInput, ...rest }) {
  const id = useId();
  return html`<div class="field switch-field${error ? " wrong" : ""}">
    <label class="switch"><input type="checkbox" role="switch" checked=${Boolean(value)} ...${told(id, { hint, error })}
      onChange=${(event) => onInput(event.currentTarget.checked)} ...${rest} /><span class="track" aria-hidden="true"></span><span>${label}</span></label>
    <${Told} ...${{ id, hint, error }} />
  </div>`;
}

/** Text with suggestions that are looked up while one types. `suggest(text)`: resolves to a list of texts. */
export function SuggestField({ suggest, value, onInput, delay = 150, ...rest }) {
  const list = useId();
  const [options, setOptions] = useState([]);
  const turn = useRef(0);
  const timer = useRef(0);
  const look = (text) => {
    clearTimeout(timer.current);
    const mine = ++turn.current;
    timer.current = setTimeout(async () => {
      // Suggestions are a courtesy: what cannot be had is not missed.
      const found = await Promise.resolve(suggest(text)).catch(() => []);
      if (mine === turn.current) setOptions(found);
    }, delay);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const typed = (text) => {
    onInput(text);
    look(text);
  };
  return html`<${TextField} value=${value} onInput=${typed} onFocus=${() => look(value ?? "")} list=${list} ...${rest} />
    <datalist id=${list}>${options.map((option) => html`<option key=${option} value=${option} />`)}</datalist>`;
}

/** Files, by drag and drop or chosen. `files`: those there are; `onFiles` gets the new list. */
export function FileField({ label, hint, error, required, files, onFiles, multiple = false, accept, wide = true }) {
  const [over, setOver] = useState(false);
  const input = useRef();
  const take = (list) => onFiles(multiple ? [...files, ...list] : [...list].slice(0, 1));
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return html`<${Field} ...${{ label, hint, error, required, wide }}>
    ${(a) => html`<div class="drop${over ? " over" : ""}" onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <input ...${a} ref=${input} type="file" class="away" multiple=${multiple} accept=${accept} onChange=${(event) => (take(event.currentTarget.files), (event.currentTarget.value = ""))} />
      <${Icon} name="upload" size="18" />
      <span>Drop ${multiple ? "files" : "a file"} here, or <button type="button" class="as-link" onClick=${() => input.current.click()}>choose ${multiple ? "some" : "one"}</button></span>
      ${files.length > 0 && html`<ul class="files">${files.map((file, at) => html`<li key=${at}><${Icon} name="file" size="14" /><span class="grow">${visible(file.name)}</span><span class="muted">${size(file.size)}</span>
        <${Button} kind="quiet" small icon="cross" label="Remove ${file.name}" onClick=${() => onFiles(files.filter((other) => other !== file))} /></li>`)}</ul>`}
    </div>`}
  <//>`;
}
