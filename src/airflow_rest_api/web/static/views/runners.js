/** Runners: which there are, what they serve and run, and what waits for them. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { call } from "../lib/api.js";
import { poll } from "../lib/clock.js";
import { moment, plural } from "../lib/text.js";
import { Badge, ErrorNotice, Link, Loading } from "../parts/basic.js";
import { Table } from "../parts/table.js";

/** Milliseconds between two looks. */
const EVERY = 5000;

const running = (runner) => html`<span class="row">${runner.operations.map((id) => html`<${Link} key=${id} view="operations" params=${{ id }} title="Operation ${id}"><code>${id.slice(-8)}</code><//>`)}</span>`;

const RUNNERS = [
  { id: "name", label: "Runner", width: "20%", value: (runner) => runner.name, cell: (runner) => html`<span title="On ${runner.host}">${runner.name}</span>` },
  { id: "healthy", label: "State", width: "13%", value: (runner) => (runner.healthy ? "healthy" : "silent"), cell: (runner) => html`<${Badge} title=${runner.heartbeat === null ? "Not looked at yet" : `Last heartbeat ${Math.round(runner.heartbeat)} s ago`}>${runner.healthy ? "healthy" : "silent"}<//>` },
  { id: "queues", label: "Queues", value: (runner) => runner.queues.join(", ") },
  { id: "operations", label: "Runs", width: "15%", value: (runner) => runner.operations.length, cell: running },
  { id: "concurrency", label: "At once", width: "9%", end: true, value: (runner) => runner.concurrency },
  { id: "version", label: "Airflow", width: "9%", value: (runner) => runner.airflow_version },
  { id: "since", label: "Since", width: "21%", value: (runner) => runner.since, cell: (runner) => html`<time datetime=${runner.since}>${moment(runner.since)}</time>` },
];

const QUEUES = [
  { id: "name", label: "Queue", width: "30%", value: (queue) => queue.name },
  { id: "runners", label: "Served by", value: (queue) => queue.runners.join(", "), cell: (queue) => (queue.runners.length ? queue.runners.join(", ") : html`<${Badge} title="A command for it is answered with 503">no runner<//>`) },
  { id: "placed", label: "Named by a rule", width: "18%", value: (queue) => (queue.placed ? "yes" : "no") },
  { id: "waiting", label: "Waiting", width: "12%", end: true, value: (queue) => queue.waiting },
];

export function View() {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const look = async (signal) => {
      try {
        setFound(await call("/v2/runners", { signal }));
        setError(null);
      } catch (problem) {
        if (problem.name !== "AbortError") setError(problem);
        // What will be refused again is not asked for again.
        if (problem.status === 403) stop();
      }
    };
    let stop = () => {};
    stop = poll(look, EVERY);
    return stop;
  }, []);
  return html`<div class="page stack">
    <h1 class="away">Runners</h1>
    <${ErrorNotice} error=${error} />
    ${!found && !error && html`<${Loading} />`}
    ${found && html`<div class="stack">
      <h2>${plural(found.runners.length, "runner")}</h2>
      <${Table} columns=${RUNNERS} rows=${found.runners} rowKey=${(runner) => runner.name} label="Runners" links empty="No runner is there: start one with airflow rest-api runner." />
      <h2>${plural(found.queues.length, "queue")}</h2>
      <${Table} columns=${QUEUES} rows=${found.queues} rowKey=${(queue) => queue.name} label="Queues" />
    </div>`}
  </div>`;
}
