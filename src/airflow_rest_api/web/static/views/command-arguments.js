/** The form of a command: a field for each argument, by its type. */
import { html } from "../vendor/preact.js";
import { CONF } from "../lib/params.js";
import { suggester } from "../lib/suggest.js";
import { Fold } from "../parts/basic.js";
import { AreaField, FileField, SelectField, SuggestField, SwitchField, TextField } from "../parts/fields.js";
import { Params } from "./command-params.js";

/**
 * @param {object} props command: its summary; args; values and faults by name; onChange(name, value)
 *   onParams(dagId, secret): the params of a DAG have come, and whether there are secrets among them
 */
export function Arguments({ command, args, values, faults, onChange, onParams }) {
  if (!args.length) return html`<p class="muted">It takes no arguments.</p>`;
  const field = (one) => html`<${Argument} key=${one.name} argument=${one} group=${command.name.split(" ")[0]} values=${values} error=${faults[one.name]} onInput=${(value) => onChange(one.name, value)} />`;
  const near = args.filter((one) => !one.aside).sort((a, b) => b.required - a.required || rank(a) - rank(b));
  const aside = args.filter((one) => one.aside);
  const conf = values.dag_id ? args.find((one) => CONF.has(one.name)) : null;
  const params = () => html`<${Params} dagId=${values.dag_id} name=${conf.name} conf=${values[conf.name]} onConf=${(text) => onChange(conf.name, text)} onParams=${onParams} />`;
  const open = aside.some((one) => values[one.name] !== undefined || faults[one.name]);
  return html`
    ${near.length > 0 && html`<div class="fields">${near.map((one) => [field(one), one === conf && params()])}</div>`}
    ${aside.length > 0 && html`<${Fold} wanted=${open || near.length === 0} summary=${html`${near.length ? "More arguments" : "Arguments"} <span class="muted">(${aside.length})</span>`}><div class="fields">${aside.map(field)}</div><//>`}`;
}

// Short fields first, then those over the whole width, then the switches.
const rank = (argument) => (argument.type === "switch" ? 2 : ["json", "long", "file"].includes(argument.type) ? 1 : 0);

function Argument({ argument, group, values, error, onInput }) {
  const value = values[argument.name];
  const common = { label: argument.name, hint: hint(argument), error, required: argument.required && argument.type !== "filename", value, onInput };
  if (argument.type === "switch") return html`<${SwitchField} ...${common} value=${value ?? Boolean(argument.default)} />`;
  if (argument.type === "file") return html`<${FileField} ...${common} files=${value ? [value] : []} onFiles=${(files) => onInput(files[0])} />`;
  if (argument.type === "choice") {
    const none = argument.default === null ? "(none)" : `${argument.default} (default)`;
    return html`<${SelectField} ...${common} options=${[["", none], ...argument.choices.filter((one) => one !== argument.default)]} />`;
  }
  if (argument.secret) return html`<${TextField} ...${common} type="password" autocomplete="new-password" />`;
  if (argument.type === "json") return html`<${AreaField} ...${common} rows="3" placeholder="{}" />`;
  if (argument.type === "long") return html`<${AreaField} ...${common} rows="2" />`;
  if (argument.type === "list") return html`<${AreaField} ...${common} wide=${false} rows="2" placeholder=${placeholder(argument) || "One on each line"} />`;
  if (argument.type === "datetime") return html`<${TextField} ...${common} type="datetime-local" step="1" />`;
  if (argument.type === "number") return html`<${TextField} ...${common} inputmode="numeric" placeholder=${placeholder(argument)} />`;
  const suggest = suggester(group, argument.name);
  if (suggest) return html`<${SuggestField} ...${common} suggest=${(text) => suggest(text, values)} placeholder=${placeholder(argument)} />`;
  return html`<${TextField} ...${common} placeholder=${placeholder(argument)} />`;
}

const placeholder = (argument) => (argument.default === null ? "" : [argument.default].flat().join("\n"));

function hint(argument) {
  const words = [argument.help.trim().replace(/[^.!?:]$/, "$&.")];
  if (argument.type === "datetime") words.push("In UTC.");
  if (argument.type === "list") words.push("One on each line.");
  if (argument.type === "filename") words.push("The name of the file you get.");
  return words.filter(Boolean).join(" ");
}
