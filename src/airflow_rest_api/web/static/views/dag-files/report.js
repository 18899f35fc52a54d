/** What a check or a deployment found: errors by line, DAGs, and what becomes of each file. */
import { html, useEffect, useState } from "../../vendor/preact.js";
import { CHANGES, contentText, textOf } from "../../lib/dag_files.js";
import { difference } from "../../lib/diff.js";
import { plural, visible } from "../../lib/text.js";
import { Badge, ErrorNotice, Link, Loading, Name, Notice } from "../../parts/basic.js";
import { Diff } from "../../parts/diff.js";
import { Icon } from "../../parts/icons.js";
import { Table } from "../../parts/table.js";

const AROUND = 2;
const TONES = { added: "good", changed: "busy", deleted: "bad" };

/** Return the component that shows a report on files that were just sent: with their lines, and what they change. */
export function reportOf(files, folder = "") {
  const sent = new Map(files.map((file) => [folder ? `${folder}/${file.name}` : file.name, file]));
  return ({ value }) => html`<${Report} value=${value} sent=${sent} />`;
}

/** @param {object} props value: the result of an operation on files; sent: File by path */
export function Report({ value, sent = new Map() }) {
  if (!value?.files) return html`<p class="empty">${value?.problem?.message ?? "Nothing is said about it."}</p>`;
  const { files, dags, errors, duplicates, warnings } = value;
  return html`<div class="stack report">
    ${errors.length > 0 && html`<section aria-label="Errors"><h3>${plural(errors.length, "error")}</h3>${errors.map((error, at) => html`<${Finding} key=${at} error=${error} file=${sent.get(error.file)} />`)}</section>`}
    ${duplicates.map((one, at) => html`<${Notice} key=${at}>${one.file}: the DAG ${one.dag_id} comes from ${one.owner} already.<//>`)}
    ${!errors.length && !duplicates.length && !value.problem && html`<p class="row checked"><${Icon} name="check" />${value.dry_run ? "Nothing speaks against these files." : "The files are in place."}</p>`}
    ${warnings.map((warning, at) => html`<${Notice} tone="warn" key=${at}>${warning}<//>`)}
    ${dags.length > 0 && html`<${Dags} dags=${dags} />`}
    <section aria-label="Files"><h3>${plural(files.length, "file")}</h3>
      <ul class="report-files">${files.map((file) => html`<${Changed} key=${file.path} file=${{ ...file, bundle: value.bundle }} sent=${sent.get(file.path)} dry=${value.dry_run || !value.deployment} />`)}</ul></section>
  </div>`;
}

function Finding({ error, file }) {
  const [text, setText] = useState(null);
  useEffect(() => {
    if (file && error.line) textOf(file).then(setText, () => {});
  }, [file, error]);
  const lines = text?.split("\n") ?? [];
  const first = Math.max(0, (error.line ?? 0) - 1 - AROUND);
  const shown = lines.slice(first, (error.line ?? 0) + AROUND);
  return html`<div class="finding">
    <p class="row"><${Icon} name="warning" /><b><${Name} text=${error.file} />${error.line ? `, line ${error.line}` : ""}</b></p>
    <pre class="finding-message">${visible(error.message)}</pre>
    ${shown.length > 0 && html`<pre class="finding-lines" tabindex="0" role="region" aria-label="Around line ${error.line} of ${error.file}">${shown.map((line, at) => {
      const number = first + at + 1;
      return html`<span key=${number} class=${number === error.line ? "finding-line here" : "finding-line"}><span class="finding-number">${number === error.line ? "▸" : " "}${String(number).padStart(4)} </span>${`${visible(line)}\n`}</span>`;
    })}</pre>`}
  </div>`;
}

const COLUMNS = [
  { id: "dag_id", label: "DAG", value: (dag) => dag.dag_id },
  { id: "file", label: "File", value: (dag) => dag.file },
  { id: "schedule", label: "Schedule", value: (dag) => dag.schedule, width: "120px" },
  { id: "tasks", label: "Tasks", value: (dag) => dag.tasks.length, end: true, width: "80px" },
  { id: "tags", label: "Tags", value: (dag) => dag.tags.join(", ") },
  { id: "version", label: "Version", value: (dag) => dag.version, end: true, width: "90px" },
];

const Dags = ({ dags }) => html`<section aria-label="DAGs"><h3>${plural(dags.length, "DAG")}</h3><${Table} columns=${COLUMNS} rows=${dags} rowKey=${(dag) => `${dag.file} ${dag.dag_id}`} label="DAGs" /></section>`;

/** A file of the report; with what it changes, as long as that is not in place. */
function Changed({ file, sent, dry }) {
  const [open, setOpen] = useState(false);
  const comparable = dry && sent && (file.change === "changed" || file.change === "added");
  const name = html`<${Link} view="dag-files" params=${{ bundle: file.bundle, path: file.path }}><${Name} text=${file.path} /><//>`;
  return html`<li>
    <div class="row"><${Badge} tone=${TONES[file.change] ?? "idle"}>${CHANGES[file.change] ?? file.change}<//>${file.change === "added" && dry ? html`<span><${Name} text=${file.path} /></span>` : name}</div>
    ${comparable && html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>Difference to what is deployed</summary>${open && html`<${Difference} file=${file} sent=${sent} />`}</details>`}
  </li>`;
}

function Difference({ file, sent }) {
  const [state, setState] = useState({ text: null, error: null });
  useEffect(() => {
    const compare = async () => {
      const before = file.change === "added" ? "" : await contentText(file);
      const after = await textOf(sent);
      setState({ text: before === null || after === null ? "The files are not text.\n" : difference(before, after), error: null });
    };
    compare().catch((error) => setState({ text: null, error }));
  }, [file.path, sent]);
  if (state.error) return html`<${ErrorNotice} error=${state.error} />`;
  return state.text === null ? html`<${Loading} what="Comparing" />` : html`<${Diff} text=${state.text} label="What ${file.path} changes" />`;
}
