/** One command: what it is, its form, its run, and how to do the same from elsewhere. */
import { html, useMemo, useRef, useState } from "../vendor/preact.js";
import { call } from "../lib/api.js";
import { argumentsOf, body, fault, form, fromAddress, isGiven, isHidden, toAddress } from "../lib/arguments.js";
import { facts } from "../lib/facts.js";
import { useLoaded } from "../lib/loaded.js";
import { once } from "../lib/once.js";
import { OF_PARAMS } from "../lib/params.js";
import { note } from "../lib/router.js";
import { Button, EffectBadge, ErrorNotice, Link, Loading } from "../parts/basic.js";
import { ask, Given } from "../parts/dialog.js";
import { SelectField } from "../parts/fields.js";
import { Icon } from "../parts/icons.js";
import { OperationPanel } from "../parts/operation_panel.js";
import { RefusalNotice } from "../parts/refusal.js";
import { Arguments } from "./command-arguments.js";
import { Elsewhere } from "./command-elsewhere.js";

const GRAVITY = ["read", "write", "execute", "service", "destructive"];

/** Where a command can be sent, beside where the rules lead. */
const QUEUES = [["", "as the rules say"], ...facts.queues, ["local", "local: the API server"]];

/** Long enough for what is quick to be answered at once; what takes longer is followed as it prints. */
const WAIT = "wait=1";

export function Command({ summary, params }) {
  const [detail, error] = useLoaded(`/v2/commands/${summary.path}`);
  return html`<div class="page command">
    <${Link} view="commands" class="back"><${Icon} name="left" />All commands<//>
    <div class="command-head">
      <div class="row"><h2 class="large">${summary.name}</h2><${EffectBadge} effect=${summary.effect} /></div>
      <p>${summary.help}</p>
    </div>
    <${ErrorNotice} error=${error} />
    ${detail ? html`<${Prepared} summary=${summary} detail=${detail} params=${params} />` : !error && html`<${Loading} />`}
  </div>`;
}

function Prepared({ summary, detail, params: place }) {
  const args = useMemo(() => argumentsOf(summary, detail), [detail]);
  const ofDag = args.some((one) => one.name === "dag_id");
  const needs = detail.needs.length ? `Takes ${detail.needs.join("; ").replaceAll("`", "")}.` : "";
  const [values, setValues] = useState(() => fromAddress(args, place));
  const [faults, setFaults] = useState({});
  const [error, setError] = useState(null);
  const [operation, setOperation] = useState(null);
  const [busy, setBusy] = useState(false);
  const [queue, setQueue] = useState("");
  const result = useRef();
  const sending = useMemo(once, []);
  const latest = useRef(values);
  // The DAG whose params are known, and whether there are secrets among them.
  const params = useRef({ dagId: null, secret: true });
  const [secretParams, setSecretParams] = useState(null);
  /** Until it is known that none of them is a secret, what holds them stays out of the address. */
  const noted = (given) => {
    const { dagId, secret } = params.current;
    const open = dagId === given.dag_id && !secret;
    const told = ofDag && !open ? args.filter((one) => !OF_PARAMS.has(one.name)) : args;
    note("commands", [["command", summary.path], ...toAddress(told, given)]);
  };
  const learned = (dagId, secret) => {
    params.current = { dagId, secret };
    setSecretParams(secret ? dagId : null);
    noted(latest.current);
  };
  const change = (name, value) => {
    // The latest ones, not those of the last rendering: two fields may change before the next.
    const next = (latest.current = { ...latest.current, [name]: value });
    setValues(next);
    setFaults((before) => ({ ...before, [name]: undefined }));
    noted(next);
  };
  const clear = () => {
    setValues((latest.current = {}));
    setFaults({});
    note("commands", { command: summary.path });
  };
  const effect = effectOf(detail, args, values);
  // With secrets among the params, what holds them is one: for what is copied and asked, not for its field.
  const guarded = ofDag && secretParams !== null && secretParams === values.dag_id ? args.map((one) => (OF_PARAMS.has(one.name) ? { ...one, secret: true } : one)) : args;
  const run = async (event) => {
    event?.preventDefault();
    setError(null);
    const wrong = Object.fromEntries(args.map((one) => [one.name, fault(one, values[one.name])]).filter(([, said]) => said));
    setFaults(wrong);
    if (Object.keys(wrong).length) {
      requestAnimationFrame(() => document.querySelector("form.command-form [aria-invalid]")?.focus());
      return;
    }
    // The configuration does not have what was typed for a param, but what stood there before.
    const unread = document.querySelector("form.command-form fieldset:not(:disabled) [data-unread]");
    if (unread) return void unread.focus();
    const request = body(args, values);
    if (!(await sure(summary, effect, request, guarded, values))) return;
    setBusy(true);
    try {
      const sends = Object.keys(request.files).length ? { form: form(request) } : { json: request.json };
      const send = (more) => call(`/v2/commands/${summary.path}`, { method: "POST", headers: { Prefer: WAIT, ...(queue && { "Airflow-Queue": queue }), ...more }, ...sends });
      // What only reads may be done twice, and with a key it would wait for its record.
      setOperation(await (effect === "read" ? send({}) : sending([JSON.stringify(request.json), queue, ...Object.values(request.files)], send)));
      requestAnimationFrame(() => result.current?.scrollIntoView({ block: "nearest", behavior: "smooth" }));
    } catch (problem) {
      const named = args.find((one) => one.name === problem.argument);
      if (named) setFaults({ [named.name]: problem.message });
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return html`
    ${detail.description && detail.description !== detail.help && html`<p class="muted description">${detail.description}</p>`}
    ${!detail.allowed && html`<${RefusalNotice} refusal=${detail.refusal} />`}
    ${detail.reveals_secrets && detail.allowed && html`<p class="muted small-text row"><${Icon} name="lock" size="14" />What it prints can hold secrets, and is kept with the operation.</p>`}
    <form class="command-form card" onSubmit=${run} novalidate aria-label="Arguments of ${summary.name}">
      <${Arguments} command=${summary} args=${args} values=${values} faults=${faults} onChange=${change} onParams=${learned} />
      <div class="row form-end">
        <${Button} kind=${effect === "destructive" ? "danger" : "primary"} type="submit" icon="play" busy=${busy} disabled=${!detail.allowed}>Run<//>
        ${args.some((one) => isGiven(one, values[one.name])) && html`<${Button} kind="quiet" onClick=${clear}>Clear<//>`}
        ${effect !== summary.effect && html`<span class="muted small-text row">With these arguments: <${EffectBadge} effect=${effect} /></span>`}
        <span class="grow"></span>
        ${facts.queues.length > 0 && html`<${SelectField} label="Queue" value=${queue} onInput=${setQueue} options=${QUEUES} />`}
        ${detail.allowed && html`<span class="muted small-text needs" title=${needs}>${needs}</span>`}
      </div>
      <${ErrorNotice} error=${error} />
    </form>
    <div ref=${result}>${operation && html`<${OperationPanel} id=${operation.id} initial=${operation} onAgain=${setOperation} />`}</div>
    <${Elsewhere} command=${summary} args=${guarded} values=${values} queue=${queue} />`;
}

/** The effect with the arguments that are given: some make it a more severe one. */
function effectOf(detail, args, values) {
  const raised = args.filter((one) => isGiven(one, values[one.name])).map((one) => detail.raised_by?.[one.name]);
  return raised.reduce((worst, one) => (GRAVITY.indexOf(one) > GRAVITY.indexOf(worst) ? one : worst), detail.effect);
}

const WHAT = {
  execute: facts.queues.length ? "This runs the code of DAG authors, now." : "This runs the code of DAG authors, now, on the host of the API server.",
  service: "This starts, stops or steers a component of Airflow.",
  destructive: "This can lose data, and cannot be undone.",
};

/** Ask before what executes or destroys, naming what it will be. */
async function sure(command, effect, { json, files }, args, values) {
  if (!WHAT[effect]) return true;
  const given = [...Object.entries(json), ...Object.entries(files).map(([name, file]) => [name, file.name])];
  const secret = (name) => isHidden(args.find((one) => one.name === name), values);
  const text = html`<p>${WHAT[effect]}</p>
    <${Given} entries=${given.map(([name, value]) => [name, secret(name) ? "•••" : String(value)])} />`;
  return ask({ title: `Run ${command.name}?`, text, yes: `Run ${command.name}`, danger: effect === "destructive" });
}
