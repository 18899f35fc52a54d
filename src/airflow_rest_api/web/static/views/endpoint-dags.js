/** The DAGs with their state, active or paused: the first from Airflow, all of them by a command. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { airflow, call } from "../lib/api.js";
import { framed } from "../lib/facts.js";
import { plural } from "../lib/text.js";
import { Badge, Button, DagLink, ErrorNotice, Loading } from "../parts/basic.js";
import { Table } from "../parts/table.js";

const FIRST = 100;

const COLUMNS = [
  {
    id: "dag_id",
    label: "DAG",
    value: (dag) => dag.id,
    cell: (dag) => html`<${DagLink} id=${dag.id} title=${dag.id} />`,
  },
  { id: "state", label: "State", width: "130px", value: (dag) => (dag.paused ? "paused" : "active"), cell: (dag) => html`<${Badge} tone=${dag.paused ? "idle" : "good"}>${dag.paused ? "paused" : "active"}<//>` },
];

export function Dags() {
  const [dags, setDags] = useState(null);
  const [total, setTotal] = useState(0);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    airflow(`/dags?limit=${FIRST}&order_by=dag_id`).then((said) => {
      setDags(said.dags.map((one) => ({ id: one.dag_id, paused: one.is_paused })));
      setTotal(said.total_entries);
    }, setError);
  }, []);
  const all = async () => {
    setBusy(true);
    try {
      const said = await call("/v2/commands/dags/list", { method: "POST", json: { columns: ["dag_id", "is_paused"] }, headers: { Prefer: "wait=60" } });
      if (said.state !== "succeeded") throw new Error(`The list of all DAGs did not come: dags list is ${said.state.replace("_", " ")}.`);
      if (!said.result) throw new Error(`The list of all DAGs did not come. ${said.warnings.join(" ")}`.trim());
      setError(null);
      setDags(said.result.map((one) => ({ id: one.dag_id, paused: one.is_paused === true || one.is_paused === "True" })));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`<section class="stack" aria-label="DAGs">
    <div class="row"><h3>${dags ? plural(total, "DAG") : "DAGs"}</h3><span class="grow"></span>
      ${dags && dags.length < total && html`<${Button} small onClick=${all} busy=${busy}>Show all<//>`}</div>
    <${ErrorNotice} error=${error} />
    ${dags ? html`<${Table} columns=${COLUMNS} rows=${dags} rowKey=${(dag) => dag.id} label="DAGs" links=${!framed && dags.length > 0} sort=${{ id: "dag_id", down: false }} empty="There are no DAGs that you may see." />` : !error && html`<${Loading} />`}
  </section>`;
}
