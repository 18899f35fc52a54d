/** The params of a DAG as fields, which fill the configuration of a run and follow what is written there by hand. */
import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { airflow } from "../lib/api.js";
import { fault, fieldsOf, hasInexact, parsed, read, shown, valueOf, withValue } from "../lib/params.js";
import { visible } from "../lib/text.js";
import { Button, Notice } from "../parts/basic.js";
import { AreaField, Field, SelectField, SwitchField, TextField } from "../parts/fields.js";

/** Milliseconds without a change, after which what was typed is taken for the name of a DAG. */
const SETTLED = 350;

/** The fields for the params of a DAG, from Airflow, and whether they were found; none where it has none, or is none, or is not for these eyes. */
function useFields(dagId) {
  const [state, setState] = useState({ dagId: "", fields: [], found: false });
  useEffect(() => {
    if (!dagId) return undefined;
    let current = true;
    const look = async () => {
      const found = await airflow(`/dags/${encodeURIComponent(dagId)}/details`, { patient: false }).catch(() => null);
      if (current) setState({ dagId, fields: fieldsOf(found?.params), found: found !== null });
    };
    const timer = setTimeout(look, SETTLED);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [dagId]);
  return state.dagId === dagId ? state : { fields: [], found: false };
}

/** @param {object} props dagId; name: of the argument; conf: its text; onConf(text); onParams(dagId, secret): they have come */
export function Params({ dagId, name, conf: text, onConf, onParams }) {
  const { fields, found } = useFields(dagId);
  const secret = fields.some((field) => field.kind === "password");
  useEffect(() => void (found && onParams?.(dagId, secret)), [dagId, found, secret]);
  const now = parsed(text);
  // While it is being written, the fields stay as they were.
  const last = useRef({});
  const conf = now ?? last.current;
  last.current = conf;
  if (!fields.length) return null;
  const inexact = now !== null && hasInexact(text);
  const unknown = Object.keys(conf).filter((key) => !fields.some((field) => field.name === key));
  const sections = [...new Set(fields.map((field) => field.section))];
  return html`<section class="params" aria-label="Params of ${dagId}">
    <h3>Params of ${dagId}</h3>
    <p class="hint">What you change here stands in ${name}, and what you write there is shown here. The rest is as the DAG has it.</p>
    ${now === null && html`<${Notice} tone="warn">${name} is no JSON object yet. <${Button} small onClick=${() => onConf("")}>Begin anew<//><//>`}
    ${inexact && html`<${Notice} tone="warn">A number in ${name} is too large for these fields, which would change it: the run gets ${name} as it is written.<//>`}
    <fieldset disabled=${now === null || inexact}>${sections.map((section) => html`<div key=${section} class="stack">
      ${section && html`<h4>${section}</h4>`}
      <div class="fields">${fields.filter((field) => field.section === section).map((field) => html`<${Param} key=${`${dagId} ${field.name}`} field=${field} value=${valueOf(field, conf)} onValue=${(value) => onConf(withValue(conf, field, value))} />`)}</div>
    </div>`)}</fieldset>
    ${unknown.length > 0 && html`<p class="hint">The DAG has no param ${unknown.join(", ")}: it is given to the run all the same.</p>`}
  </section>`;
}

const same = (value) => JSON.stringify(value ?? null);

/** The field of one param. It shows what was typed as long as that is its value, or none: `1.` is not made `1`. */
function Param({ field, value, onValue }) {
  const [draft, setDraft] = useState(null);
  const typed = (input) => {
    const { value: next, error } = read(field, input);
    setDraft({ text: input, error, stands: same(error ? value : next) });
    if (!error) onValue(next);
  };
  const own = draft?.stands === same(value) ? draft : null;
  const common = { label: field.label, hint: field.hint, error: own?.error ?? fault(field, value), required: field.required, value: own?.text ?? shown(field, value), onInput: typed, "data-unread": own?.error ? "" : undefined };
  switch (field.kind) {
    case "switch":
      return html`<${SwitchField} ...${common} value=${Boolean(value)} />`;
    case "choice":
      return html`<${SelectField} ...${common} options=${choices(field)} />`;
    case "several":
      return html`<${Several} ...${common} field=${field} value=${value} />`;
    case "lines":
      return html`<${AreaField} ...${common} wide=${false} rows="3" placeholder="One on each line" />`;
    case "long":
    case "json":
    case "any":
      return html`<${AreaField} ...${common} rows="3" />`;
    case "datetime":
      return html`<${TextField} ...${common} hint=${`${field.hint} In UTC.`.trim()} type="datetime-local" step="1" />`;
    case "date":
    case "time":
      return html`<${TextField} ...${common} type=${field.kind} step=${field.kind === "time" ? "1" : undefined} />`;
    case "number":
      return html`<${TextField} ...${common} inputmode=${field.integer ? "numeric" : "decimal"} />`;
    case "password":
      return html`<${TextField} ...${common} type="password" autocomplete="new-password" />`;
    default:
      return html`<${Proposed} ...${common} field=${field} />`;
  }
}

function choices(field) {
  const named = field.choices.filter((one) => one !== null).map((one) => [String(one), visible(String(field.labels[one] ?? one))]);
  const optional = !field.required || field.choices.includes(null) || field.initial === null;
  return optional ? [["", String(field.labels.None ?? "(none)")], ...named] : named;
}

/** Text, with examples to choose from. */
function Proposed({ field, ...rest }) {
  const id = useId();
  return html`<${TextField} ...${rest} list=${field.choices ? id : undefined} />
    ${field.choices && html`<datalist id=${id}>${field.choices.map((one) => html`<option key=${one} value=${String(one)} />`)}</datalist>`}`;
}

/** Any number of several values. */
function Several({ field, value, onInput, ...rest }) {
  const chosen = new Set([value ?? []].flat().map(String));
  const all = [...new Set([...field.choices.filter((one) => one !== null).map(String), ...chosen])];
  const change = (one, on) => {
    const next = all.filter((other) => (other === one ? on : chosen.has(other)));
    onInput(next.length || field.required ? next.map((text) => field.choices.find((choice) => String(choice) === text) ?? text) : null);
  };
  return html`<${Field} ...${rest}>${(a) => html`<div class="several" role="group" aria-label=${rest.label} aria-describedby=${a["aria-describedby"]}>
    ${all.map((one, at) => html`<label key=${one}><input type="checkbox" id=${at ? undefined : a.id} checked=${chosen.has(one)} onChange=${(event) => change(one, event.currentTarget.checked)} />${visible(String(field.labels[one] ?? one))}</label>`)}
  </div>`}<//>`;
}
