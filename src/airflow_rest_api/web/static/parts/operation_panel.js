/** One operation with all there is to it: how it goes, what came out, and what can be done about it. */
import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { call, send } from "../lib/api.js";
import { seconds, useTicks } from "../lib/clock.js";
import { runOf } from "../lib/dag_run.js";
import { once } from "../lib/once.js";
import { ended, operationPath, useOperation } from "../lib/operation.js";
import { duration, moment, plural, quoted, size } from "../lib/text.js";
import { Button, CopyButton, EffectBadge, ErrorNotice, Link, Loading, Notice, StateBadge, Tabs } from "./basic.js";
import { DagRun } from "./dag_run.js";
import { ask } from "./dialog.js";
import { Icon } from "./icons.js";
import { LogPane } from "./logpane.js";
import { Download } from "./download.js";
import { Result } from "./result.js";
import { toast } from "./toast.js";
import { Traceback, hasTraceback } from "./traceback.js";

/** Whether it ran a command of Airflow's: what else there is has an underscore in its name. */
const isCommand = ({ command }) => !command.includes("_");

/** The command line of an operation, for a shell. */
export const commandLine = (operation) => `${isCommand(operation) ? "airflow " : ""}${operation.argv.map(quoted).join(" ")}`;

const BAD = new Set(["failed", "timed_out", "lost"]);

/** For how long it has been running, or has run. */
export function Elapsed({ operation }) {
  const running = !ended(operation);
  const taken = seconds(operation.started_at ?? operation.created_at, operation.finished_at);
  useTicks(running, taken < 10 ? 100 : 1000);
  return html`<span class="elapsed" title=${running ? "It has taken so long" : "It took so long"}>${duration(taken)}</span>`;
}

/**
 * The result is shown as soon as it is there, unless somebody is reading the output.
 *
 * @param {object} props
 *   id: of the operation; initial: what is known of it already
 *   onAgain(operation): it was run again; without it there is no such button
 *   onEnd(operation): it has ended; called for one that had before as well
 *   heading: whether the command's name stands above, where nothing else names it
 *   result: component that shows `result` in place of the table, given `{value, operation}`
 */
export function OperationPanel({ id, initial = null, onAgain, onEnd, heading = false, result = Result }) {
  const { operation, lines, steps, error, complete } = useOperation(id, initial);
  const [chosen, setChosen] = useState(null);
  useEffect(() => setChosen(null), [id]);
  useEffect(() => complete && onEnd?.(operation), [complete]);
  const folded = useMemo(() => complete && operation.state === "failed" && operation.message !== null && hasTraceback(lines), [complete]);
  if (!operation) return error ? html`<${ErrorNotice} error=${error} />` : html`<${Loading} what="Loading the operation" />`;
  const live = !complete && !error;
  const stay = () => setChosen("output");
  const log = () => html`<div onPointerDown=${stay} onWheel=${stay} onKeyDown=${stay}>
    <${LogPane} key=${id} lines=${lines} label="Output" live=${live} downloads=${downloads(operation, lines)} /></div>`;
  // Whoever is reading goes on reading.
  const output = () => (folded && chosen !== "output" ? html`<${Traceback} key=${id} lines=${lines}>${log}<//>` : log());
  const shown = () => html`<${result} value=${operation.result} operation=${operation} />`;
  const hasResult = operation.result != null;
  const run = runOf(operation);
  const tabs = [hasResult && { id: "result", label: "Result", content: shown }, { id: "output", label: "Output", content: output }];
  return html`<section class="operation" aria-label="Operation ${operation.command}">
    ${heading && html`<div class="row"><h2 class="large">${operation.command}</h2><${EffectBadge} effect=${operation.effect} /></div>`}
    <${Head} key=${id} operation=${operation} onAgain=${onAgain} found=${steps.some(hasFound)} />
    ${operation.message && html`<${Notice} tone=${BAD.has(operation.state) ? "bad" : "idle"}>${operation.message}<//>`}
    <div class="operation-line"><code>${commandLine(operation)}</code><${CopyButton} text=${commandLine(operation)} label="Copy the command line" /></div>
    <${ErrorNotice} error=${error} />
    ${operation.warnings.map((warning, at) => html`<${Notice} tone="warn" key=${at}>${warning}<//>`)}
    <${Steps} steps=${steps} operation=${operation} />
    <${Files} operation=${operation} />
    ${run && html`<${DagRun} key=${run.runId} place=${run} />`}
    <${Tabs} tabs=${tabs.filter(Boolean)} chosen=${chosen ?? (hasResult ? "result" : "output")} onChoose=${setChosen} label="What came out" />
    <${Facts} operation=${operation} />
  </section>`;
}

/** Whether a step found what speaks against the files: they may have been put in place all the same. */
const hasFound = ({ errors, duplicates }) => errors > 0 || duplicates > 0;

function Head({ operation, onAgain, found }) {
  const [busy, setBusy] = useState("");
  const [refused, setRefused] = useState(null);
  const sending = useMemo(once, []);
  const running = !ended(operation);
  const post = (path, headers = {}) => call(operationPath(operation.id, path), { method: "POST", headers });
  const act = async (name, send, done) => {
    setBusy(name);
    setRefused(null);
    try {
      done(await send());
    } catch (problem) {
      setRefused(problem);
    }
    setBusy("");
  };
  const cancel = async () => {
    const text = html`<p>The command is ended with all that it has started, wherever it stands:</p><pre class="asked">${commandLine(operation)}</pre>`;
    if (await ask({ title: "End this operation?", text, yes: "End it", no: "Keep running", danger: true })) {
      await act("cancel", () => post("cancel"), (said) => toast(said.cancel_message ?? "It was cancelled.", "idle"));
    }
  };
  const again = async () => {
    const text = html`<p>${WORDS[operation.effect]} This is run once more, as you:</p><pre class="asked">${commandLine(operation)}</pre>`;
    const sure = operation.effect === "read" || (await ask({ title: "Run it again?", text, yes: "Run again", danger: operation.effect === "destructive" }));
    if (sure) await act("again", () => sending([operation.id], (key) => post("run-again", { Prefer: "respond-async", ...key })), onAgain);
  };
  return html`<div class="operation-head">
    <span role="status" class="row"><${StateBadge} state=${operation.state} tone=${found && operation.state === "succeeded" ? "warn" : undefined} /></span>
    <${Elapsed} operation=${operation} />
    ${operation.exit_code != null && html`<span class="muted">exit code <b>${operation.exit_code}</b></span>`}
    ${operation.truncated && html`<span class="muted" title="Output is missing between the head and the tail">output was cut</span>`}
    <span class="grow"></span>
    ${running && html`<${Button} small icon="stop" busy=${busy === "cancel"} onClick=${cancel}>Cancel<//>`}
    ${onAgain && isCommand(operation) && html`<${Button} small icon="refresh" busy=${busy === "again"} onClick=${again}>Run again<//>`}
  </div>
  <${ErrorNotice} error=${refused} />`;
}

const WORDS = {
  write: "It changes Airflow's data.",
  execute: "It runs the code of DAG authors.",
  service: "It starts, stops or steers a component.",
  destructive: "It can lose data.",
};

/** The steps that were taken, each as it was said last; of one that runs, the last is where it stands. */
export function Steps({ steps, operation }) {
  if (!steps.length) return null;
  const begin = operation.started_at ?? operation.created_at;
  const running = !ended(operation);
  const last = [...new Map(steps.map((one) => [one.step, one])).values()];
  return html`<ol class="steps" aria-label="Progress">${last.map((one, number) => {
    const now = running && number === last.length - 1;
    return html`<li key=${one.step} class=${now ? "now" : hasFound(one) ? "found" : ""} aria-current=${now ? "step" : undefined}>
      <${Icon} name=${now ? "clock" : hasFound(one) ? "warning" : "check"} size="14" /><span>${one.step}</span>
      <span class="muted">${[...details(one), one.at && duration(seconds(begin, one.at))].filter(Boolean).join(", ")}</span>
    </li>`;
  })}</ol>`;
}

/** What is said of a step, in words. */
function details({ files, bytes, dags, errors, duplicates, done, of }) {
  return [
    files !== undefined && plural(files, "file"),
    bytes !== undefined && size(bytes),
    dags !== undefined && plural(dags, "DAG"),
    errors > 0 && plural(errors, "error"),
    duplicates > 0 && plural(duplicates, "duplicate"),
    of !== undefined && (done === undefined ? String(of) : `${done} of ${of}`),
  ];
}

const Files = ({ operation }) => operation.files.length > 0 && html`<ul class="downloads" aria-label="Files">${operation.files.map((file) => html`<li key=${file.name}>
  <${Download} path=${operationPath(operation.id, "files", encodeURIComponent(file.name))} name=${file.name}>${file.name} <span class="muted">${size(file.size)}</span><//></li>`)}</ul>`;

function Facts({ operation }) {
  const facts = [
    ["DAG", operation.dag_id && html`<${Link} view="operations" params=${{ dag_id: operation.dag_id }} title="Operations on this DAG">${operation.dag_id}<//>`],
    ["Old endpoint", operation.endpoint && html`<${Link} view="operations" params=${{ endpoint: operation.endpoint }} title="Operations by this old endpoint">${operation.endpoint}<//>`],
    ["User", operation.user],
    ["Host", operation.host],
    ["Runner", operation.runner],
    ["Queue", operation.queue],
    ["Asked", moment(operation.created_at)],
    ["Began", moment(operation.started_at)],
    ["Ended", moment(operation.finished_at)],
    ["Repeats", operation.rerun_of && html`<${Link} view="operations" params=${{ id: operation.rerun_of }}>another operation<//>`],
    ["Id", html`<code>${operation.id}</code>`],
  ];
  return html`<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** What there is to download: one stream each, from the server, which has what this page may have let go. */
function downloads(operation, lines) {
  const name = `${operation.command.replaceAll(" ", "-")}-${operation.id.slice(-8)}`;
  const fetched = (stream) => async () => (await send(`${operationPath(operation.id, "output")}?stream=${stream}`, { headers: { Accept: "text/plain" } })).blob();
  if (!ended(operation)) return [{ label: "Download", name: `${name}.txt`, get: async () => lines.text() }];
  return ["stdout", "stderr"].map((stream) => ({ label: stream, name: `${name}.${stream}.txt`, get: fetched(stream) }));
}
