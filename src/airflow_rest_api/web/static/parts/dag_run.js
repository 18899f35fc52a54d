/** A DAG run that a command has made: its state, live; the tasks that failed, with their logs; and where it is in Airflow. */
import { html, useState } from "../vendor/preact.js";
import { seconds, useTicks } from "../lib/clock.js";
import { ended, logOf, runPlace, taskPlace, useRun } from "../lib/dag_run.js";
import { facts, framed } from "../lib/facts.js";
import { duration, plural } from "../lib/text.js";
import { Badge, Button, ErrorNotice, Loading, Notice } from "./basic.js";
import { Code } from "./code.js";
import { Icon } from "./icons.js";

const TONES = { success: "good", failed: "bad", running: "busy", queued: "busy", upstream_failed: "bad", up_for_retry: "warn", scheduled: "busy" };

/** Lines of a log that are shown; the whole is in Airflow. */
const SHOWN = 1000;

/** A link to a place in Airflow's UI. Airflow's frame may neither be left nor open windows; its own document may. */
function AirflowLink({ place, children, ...rest }) {
  const address = facts.airflow + place;
  const open = (event) => {
    event.preventDefault();
    window.parent.open(new URL(address, location.href).href, "_blank");
  };
  return html`<a href=${address} target="_blank" rel="noopener" onClick=${framed ? open : undefined} ...${rest}>${children}</a>`;
}

/** @param {object} props place: `{dagId, runId}` */
export function DagRun({ place }) {
  const { run, paused, counts, failed, error } = useRun(place);
  const going = run !== null && !ended(run) && !error;
  useTicks(going);
  const since = run?.start_date ?? run?.queued_at;
  return html`<section class="dag-run card" aria-label="DAG run">
    <div class="row">
      <h3>DAG run</h3>
      <span role="status">${run && html`<${Badge} tone=${TONES[run.state] ?? "idle"}>${run.state}<//>`}</span>
      ${since && html`<span class="muted">${duration(seconds(since, run.end_date))}</span>`}
      <span class="grow"></span>
      <${AirflowLink} place=${runPlace(place)} class="button small">Open in Airflow<//>
    </div>
    <p class="muted small-text run-id">${place.dagId} · ${place.runId}</p>
    ${paused && html`<${Notice} tone="warn">The DAG is paused: the run begins when it is resumed.<//>`}
    ${Object.keys(counts).length > 0 && html`<ul class="row" aria-label="Task instances">${Object.entries(counts).map(([state, count]) => html`<li key=${state}><${Badge} tone=${TONES[state] ?? "idle"}>${count} ${state.replaceAll("_", " ")}<//></li>`)}</ul>`}
    ${error && html`<p class="muted">${error.status === 403 ? "You may not see the runs of this DAG." : error.message}</p>`}
    ${failed.length > 0 && html`<section class="stack" aria-label="Failed tasks"><h4>${plural(failed.length, "failed task")}</h4>
      ${failed.map((task) => html`<${FailedTask} key=${`${task.task_id} ${task.map_index} ${task.try_number}`} place=${place} task=${task} />`)}</section>`}
  </section>`;
}

function FailedTask({ place, task }) {
  const [open, setOpen] = useState(false);
  const [state, setState] = useState({ log: null, error: null });
  const name = task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id;
  const toggle = () => {
    setOpen(!open);
    if (!open && !state.log) logOf(place, task).then((log) => setState({ log, error: null }), (error) => setState({ log: null, error }));
  };
  return html`<div class="stack failed-task">
    <div class="row"><${Icon} name="warning" /><b>${name}</b>${task.try_number > 1 && html`<span class="muted">try ${task.try_number}</span>`}
      <span class="grow"></span>
      <${Button} small aria-expanded=${String(open)} onClick=${toggle}>Log of ${name}<//>
      <${AirflowLink} place=${taskPlace(place, task)} class="button quiet small">In Airflow<//></div>
    ${open && (state.error ? html`<${ErrorNotice} error=${state.error} />` : state.log ? html`<${Log} log=${state.log} name=${name} />` : html`<${Loading} what="Loading the log" />`)}
  </div>`;
}

function Log({ log, name }) {
  const lines = log.text.split("\n");
  return html`
    ${log.why && html`<${Notice}>${log.why}<//>`}
    ${lines.length > SHOWN && html`<p class="muted small-text">The last ${SHOWN.toLocaleString()} of ${lines.length.toLocaleString()} lines.</p>`}
    <${Code} text=${lines.slice(-SHOWN).join("\n")} label="Log of ${name}" tall />`;
}
