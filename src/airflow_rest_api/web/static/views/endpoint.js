/** One endpoint of the 1.x plugin: its arguments, a form that submits to it, and the envelope it answers with. */
import { html, useMemo, useRef, useState } from "../vendor/preact.js";
import { ApiError, PERHAPS, send } from "../lib/api.js";
import { bounded, looksSecret } from "../lib/arguments.js";
import { facts } from "../lib/facts.js";
import { OF_PARAMS } from "../lib/params.js";
import { note } from "../lib/router.js";
import { suggester } from "../lib/suggest.js";
import { Badge, Button, ErrorNotice, Link, Notice } from "../parts/basic.js";
import { ask, Given } from "../parts/dialog.js";
import { FileField, SuggestField, SwitchField, TextField } from "../parts/fields.js";
import { Icon } from "../parts/icons.js";
import { Code } from "../parts/code.js";
import { hasOther } from "../parts/result.js";

// What deserves a question before: it runs code of DAG authors, starts a component, or has tasks run again.
const ASKS = new Set(["render", "test", "run", "kerberos", "worker", "flower", "scheduler", "serve_logs", "clear", "deploy_dag"]);

/** Whether a call does so with these arguments: some have files parsed, or what is stored looked at in place of them. */
const asks = ({ name }, { report, tree, subdir }) => ASKS.has(name) || (name === "list_dags" && report) || (name === "list_tasks" && (!tree || subdir));

/** Whether an argument may be in the address; the value of a variable can be a secret, and a param of a DAG as well. */
const inAddress = (one) => !one.secret && !one.file && one.name !== "value" && !OF_PARAMS.has(one.name);

export function Endpoint({ endpoint, params }) {
  const names = endpoint.arguments;
  const [values, setValues] = useState(() => Object.fromEntries(names.filter((one) => inAddress(one) && params.has(`a.${one.name}`)).map((one) => [one.name, one.check_box ? params.get(`a.${one.name}`) === "true" : params.get(`a.${one.name}`)])));
  const [faults, setFaults] = useState({});
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const result = useRef();
  const latest = useRef(values);
  const change = (name, value) => {
    const next = (latest.current = { ...latest.current, [name]: value });
    setValues(next);
    setFaults({});
    const shown = names.filter((one) => inAddress(one) && next[one.name] && !looksSecret(next[one.name])).map((one) => [`a.${one.name}`, String(next[one.name])]);
    note("endpoints", [["api", endpoint.name], ...bounded(shown)]);
  };
  const submit = async (event) => {
    event.preventDefault();
    const missing = Object.fromEntries(names.filter((one) => one.required && !values[one.name]).map((one) => [one.name, "This is needed."]));
    setFaults(missing);
    if (Object.keys(missing).length) {
      requestAnimationFrame(() => document.querySelector("form [aria-invalid]")?.focus());
      return;
    }
    if (asks(endpoint, values) && !(await ask({ title: `Call ${endpoint.name}?`, text: question(endpoint, values), yes: `Call ${endpoint.name}` }))) return;
    setBusy(true);
    setError(null);
    try {
      setAnswer(await post(endpoint, values));
      requestAnimationFrame(() => result.current?.scrollIntoView({ block: "nearest", behavior: "smooth" }));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const field = (one) => {
    const common = { key: one.name, label: one.name, hint: one.description, required: one.required, error: faults[one.name], value: values[one.name], onInput: (value) => change(one.name, value) };
    if (one.check_box) return html`<${SwitchField} ...${common} />`;
    if (one.file) return html`<${FileField} ...${common} files=${values[one.name] ? [values[one.name]] : []} onFiles=${(files) => change(one.name, files[0])} />`;
    if (one.secret) return html`<${TextField} ...${common} type="password" autocomplete="new-password" />`;
    const suggest = suggester("", one.name);
    return suggest ? html`<${SuggestField} ...${common} suggest=${(text) => suggest(text, values)} />` : html`<${TextField} ...${common} />`;
  };
  return html`<div class="page">
    <${Link} view="endpoints" class="back"><${Icon} name="left" />All old endpoints<//>
    <div class="command-head">
      <div class="row"><h2 class="large">${endpoint.name}</h2>${endpoint.methods.map((one) => html`<${Badge} key=${one}>${one}<//>`)}${endpoint.background && html`<${Badge}>runs in the background<//>`}</div>
      <p>${endpoint.description}</p>
    </div>
    <dl class="facts"><div><dt>Today it runs</dt><dd>${endpoint.runs.replaceAll("`", "")}</dd></div>
      <div><dt>Airflow version</dt><dd>${/^\d/.test(endpoint.since) ? `${endpoint.since} or greater` : endpoint.since}</dd></div></dl>
    <${Code} label="Example" text="${endpoint.methods.join(" or ")} ${location.origin}${endpoint.example}" />
    <form class="card" onSubmit=${submit} novalidate aria-label="Arguments of ${endpoint.name}">
      ${names.length ? html`<div class="fields">${names.map(field)}</div>` : html`<p class="muted">It takes no arguments.</p>`}
      <div class="row form-end"><${Button} kind="primary" type="submit" icon="play" busy=${busy}>Submit<//></div>
      <${ErrorNotice} error=${error} />
    </form>
    <div ref=${result}>${answer && html`<${Envelope} answer=${answer} />`}</div>
  </div>`;
}

/** What the call will be, in the arguments that are given. */
function question(endpoint, values) {
  const given = endpoint.arguments.filter((one) => values[one.name]);
  const shown = (one) => (one.file ? values[one.name].name : inAddress(one) ? String(values[one.name]) : "•••");
  return html`<p>${endpoint.description}</p>
    <${Given} entries=${given.map((one) => [one.name, shown(one)])} />`;
}

function Envelope({ answer }) {
  const { body } = answer;
  const other = useMemo(() => hasOther(body), [body]);
  const output = typeof body.output === "object" ? [body.output?.stdout, body.output?.stderr].filter(Boolean).join("\n") : body.output;
  return html`<section class="operation" aria-label="The answer">
    <div class="operation-head" role="status"><${Badge} tone=${body.status === "OK" ? "good" : "bad"}>${body.status ?? "ERROR"}<//><span class="muted">HTTP ${answer.status}</span>
      ${body.exit_code != null && html`<span class="muted">exit code <b>${body.exit_code}</b></span>`}</div>
    ${other && html`<${Notice} tone="warn">A whole number in the envelope is too large for this page, which shows another one.<//>`}
    ${output && html`<h3>Output</h3><${Code} text=${String(output)} label="Output" tall />`}
    <h3>Envelope</h3><${Code} text=${JSON.stringify(body, null, 2)} label="Envelope" tall />
  </section>`;
}

/** Send the form. In the body, which is in nobody's log; all endpoints take it there. */
async function post(endpoint, values) {
  const form = new FormData();
  form.append("api", endpoint.name);
  for (const one of endpoint.arguments) {
    const value = values[one.name];
    if (value instanceof File) form.append(one.name, value, value.name);
    else if (value) form.append(one.name, one.check_box ? "true" : value);
  }
  const answer = await send("/api", { method: "POST", form, read: notCarriedOut });
  const body = await answer.json().catch(() => ({ status: "ERROR", output: `The server answered with ${answer.status}. ${PERHAPS}` }));
  return { status: answer.status, body };
}

/**
 * What the contract has to say of the session and of the header token, in its own way: `msg` where a token is missing (401)
 * or no good (422), an envelope otherwise. All else is the answer of the endpoint.
 */
async function notCarriedOut(answer) {
  const body = await answer.clone().json().catch(() => null);
  if (answer.status === 401 || typeof body?.msg === "string") {
    return new ApiError(401, { reason: "not_authenticated", message: body?.msg ?? body?.output ?? "The session has ended." });
  }
  return answer.status === 403 && body?.output === "Token Authentication Failed" ? new ApiError(403, { reason: "header_token", message: body.output }) : null;
}
