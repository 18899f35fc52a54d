/** Who still calls the old endpoints: for administrators, to plan the way to the v2 API. */
import { html } from "../vendor/preact.js";
import { useLoaded } from "../lib/loaded.js";
import { moment, plural } from "../lib/text.js";
import { ErrorNotice, Link, Loading } from "../parts/basic.js";
import { Table } from "../parts/table.js";

/** The most that the API gives. */
const MOST = 500;

/** An argument of a caller's that has no effect, in words. */
const inVain = (one) => `${one.argument}: ${one.known ? "nothing in today's Airflow is like it" : "the endpoint has no such argument"}, ${plural(one.calls, "call")}`;

const ignored = (row) => row.ignored.map((one) => `${one.argument} (${one.calls.toLocaleString()})`).join(", ");

/** What is counted under no endpoint has no operations. */
const operationsOf = (row) => html`<${Link} view="operations" params=${{ endpoint: row.endpoint, user: row.user }} title="Operations of ${row.user} by ${row.endpoint}">${row.endpoint}<//>`;

const COLUMNS = [
  { id: "endpoint", label: "Endpoint", width: "18%", value: (row) => row.endpoint, cell: (row) => (row.endpoint.startsWith("(") ? row.endpoint : operationsOf(row)) },
  { id: "user", label: "User", width: "13%", value: (row) => row.user },
  { id: "address", label: "Address", width: "14%", value: (row) => row.address },
  { id: "ignored", label: "Ignored arguments", value: ignored, cell: (row) => html`<span title=${row.ignored.map(inVain).join("\n")}>${ignored(row)}</span>` },
  { id: "calls", label: "Calls", width: "9%", end: true, value: (row) => row.calls, cell: (row) => row.calls.toLocaleString() },
  { id: "last", label: "Last", width: "25%", value: (row) => row.last_at, cell: (row) => html`<time datetime=${row.last_at} title="First ${moment(row.first_at)}">${moment(row.last_at)}</time>` },
];

export function Usage() {
  const [found, error] = useLoaded(`/v2/legacy-usage?limit=${MOST}`);
  const shown = found?.callers.length;
  return html`<section class="stack usage" aria-label="Who still calls">
    <h3>Who still calls</h3>
    <${ErrorNotice} error=${error} />
    ${!found && !error && html`<${Loading} />`}
    ${shown === 0 && html`<p class="empty">No call of an old endpoint is counted; what was not called for a year is forgotten.</p>`}
    ${shown > 0 && html`<${Table} columns=${COLUMNS} rows=${found.callers} rowKey=${(row) => JSON.stringify([row.endpoint, row.user, row.address])} label="Who still calls" links />`}
    ${shown < found?.total_entries && html`<p class="muted">The ${shown} with the most calls, of ${found.total_entries.toLocaleString()}.</p>`}
  </section>`;
}
