/** The form with which a component is started. */
import { html, useMemo, useState } from "../../vendor/preact.js";
import { call } from "../../lib/api.js";
import { argumentsOf, body, fault } from "../../lib/arguments.js";
import { facts } from "../../lib/facts.js";
import { useLoaded } from "../../lib/loaded.js";
import { once } from "../../lib/once.js";
import { Button, ErrorNotice, Link, Loading, Notice } from "../../parts/basic.js";
import { Dialog } from "../../parts/dialog.js";
import { SelectField, SwitchField } from "../../parts/fields.js";
import { RefusalNotice } from "../../parts/refusal.js";
import { Arguments } from "../command-arguments.js";

/** Of the kinds without a command of Airflow's there is nothing to be told. */
const NOTHING = { arguments: { properties: {}, required: [] } };

/** The arguments of a kind, with all that the reference of its command tells; null while that is on its way. */
function useArguments(kind) {
  const [found, error] = useLoaded(kind.arguments.length ? `/v2/commands/${kind.command.replaceAll(" ", "/")}` : null);
  const detail = kind.arguments.length ? found : NOTHING;
  const args = useMemo(() => {
    const named = new Set(kind.arguments.map((argument) => argument.name));
    return detail && argumentsOf(kind, detail).filter((argument) => named.has(argument.name));
  }, [kind.kind, detail]);
  return { args, error };
}

/** @param {object} props kinds; onClose; onStarted(service) */
export function StartDialog({ kinds, onClose, onStarted }) {
  const possible = kinds.filter((kind) => kind.available && kind.allowed);
  const [name, setName] = useState(possible[0]?.kind ?? kinds[0].kind);
  const kind = kinds.find((one) => one.kind === name);
  const { args, error: unknown } = useArguments(kind);
  const [values, setValues] = useState({});
  const [faults, setFaults] = useState({});
  const [restart, setRestart] = useState(false);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const sending = useMemo(once, []);
  const options = useMemo(() => kinds.map((one) => [one.kind, one.available && one.allowed ? one.title : `${one.title} (${one.available ? "not allowed" : "not available"})`]), [kinds]);
  const choose = (next) => {
    setName(next);
    setValues({});
    setFaults({});
    setError(null);
  };
  const start = async (another) => {
    const wrong = Object.fromEntries(args.map((one) => [one.name, fault(one, values[one.name])]).filter(([, said]) => said));
    setFaults(wrong);
    setError(null);
    if (Object.keys(wrong).length) return;
    setBusy(true);
    const json = { kind: name, arguments: body(args, values).json, restart: restart ? "on-failure" : "never", another };
    try {
      onStarted(await sending([JSON.stringify(json)], (key) => call("/v2/services", { method: "POST", headers: { Prefer: "respond-async", ...key }, json })));
    } catch (problem) {
      if (args.some((one) => one.name === problem.argument)) setFaults({ [problem.argument]: problem.message });
      else setError(problem);
      setBusy(false);
    }
  };
  const ready = kind.available && kind.allowed && args !== null;
  const footer = html`<${Button} onClick=${onClose}>Cancel<//>
    <${Button} kind="primary" icon="play" busy=${busy} disabled=${!ready} onClick=${() => start(false)}>Start the ${kind.title.toLowerCase()}<//>`;
  return html`<${Dialog} title="Start a component" wide onClose=${onClose} footer=${footer}>
    <form onSubmit=${(event) => (event.preventDefault(), ready && !busy && start(false))} novalidate>
      <${SelectField} label="Component" value=${name} onInput=${choose} options=${options} />
      ${!kind.available && html`<${Notice}>${kind.reason}<//>`}
      ${kind.available && !kind.allowed && html`<${RefusalNotice} refusal=${kind.refusal} />`}
      ${ready && html`<p class="muted">It runs${facts.queues.length ? "" : " on the host of the API server that takes this request,"} until somebody stops it, also when the API server ends.</p>`}
      <${ErrorNotice} error=${unknown} />
      ${kind.available && args === null && !unknown && html`<${Loading} />`}
      ${ready && html`<${Arguments} command=${{ name: kind.command }} args=${args} values=${values} faults=${faults} onChange=${(one, value) => setValues((before) => ({ ...before, [one]: value }))} />
        <${SwitchField} label="Start it again when it fails" value=${restart} onInput=${setRestart} />`}
      ${error?.reason === "already_running"
        ? html`<${Notice}>${error.message} <span class="row"><${Link} view="services" params=${{ id: error.detail.service }} onClickCapture=${onClose}>Look at that one<//>
            <${Button} small onClick=${() => start(true)}>Start another one<//></span><//>`
        : html`<${ErrorNotice} error=${error} />`}
    </form>
  <//>`;
}
