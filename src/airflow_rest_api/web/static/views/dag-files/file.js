/** One file: what is in it, which versions there were, what can be done about it. */
import { html, useEffect, useMemo, useState } from "../../vendor/preact.js";
import { begin, content, contentText, filePath } from "../../lib/dag_files.js";
import { Lines } from "../../lib/lines.js";
import { moment, size, visible } from "../../lib/text.js";
import { Button, DagLink, ErrorNotice, Link, Loading, Name, Notice, Tabs } from "../../parts/basic.js";
import { Dialog } from "../../parts/dialog.js";
import { SwitchField } from "../../parts/fields.js";
import { LogPane, save } from "../../parts/logpane.js";
import { OperationPanel } from "../../parts/operation_panel.js";
import { toast } from "../../parts/toast.js";
import { History } from "./history.js";
import { Marks } from "./list.js";
import { Report } from "./report.js";

/** @param {object} props file; bundle; onChange: it may have changed; onGone: it was deleted */
export function FileDetail({ file, bundle, onChange, onGone }) {
  const [tab, setTab] = useState("content");
  const [operation, setOperation] = useState(null);
  const [turn, setTurn] = useState(0);
  const ended = (done) => {
    setTurn((before) => before + 1);
    if (done.state === "succeeded" && done.command === "delete_dag_file") {
      toast(`${file.path} is deleted.`);
      onGone();
    } else onChange();
  };
  const tabs = [
    { id: "content", label: "Content", content: () => html`<${Content} key=${turn} file=${file} />` },
    { id: "history", label: "History", content: () => html`<${History} key=${turn} file=${file} writable=${bundle?.writable} onStarted=${setOperation} />` },
  ];
  return html`<section class="stack" aria-label=${file.path}>
    <${Head} file=${file} bundle=${bundle} onStarted=${setOperation} />
    ${file.changed_outside && html`<${Notice}>${file.size === null ? "It was deployed, and is gone." : "What lies there is not what was deployed last: somebody changed it another way."} See its history for the difference.<//>`}
    ${operation && html`<${OperationPanel} key=${operation.id} id=${operation.id} initial=${operation} result=${Report} onEnd=${ended} />`}
    <${Tabs} tabs=${tabs} chosen=${tab} onChoose=${setTab} label="About the file" />
  </section>`;
}

function Head({ file, bundle, onStarted }) {
  const [deleting, setDeleting] = useState(false);
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  const folder = file.path.slice(0, Math.max(0, file.path.lastIndexOf("/")));
  const download = async () => {
    try {
      save(await content(file), name);
    } catch (error) {
      toast(error.message, "bad");
    }
  };
  const begun = (operation) => {
    setDeleting(false);
    onStarted(operation);
  };
  return html`<div class="operation-head">
      <h2 class="large"><${Name} text=${file.path} /></h2><${Marks} file=${file} /><span class="grow"></span>
      ${bundle?.writable && html`<${Link} class="button small" view="dag-files" params=${{ bundle: file.bundle, folder, show: "deploy" }}>New version<//>`}
      ${file.size !== null && html`<${Button} small icon="download" onClick=${download}>Download<//>`}
      ${bundle?.writable && file.size !== null && html`<${Button} small icon="trash" onClick=${() => setDeleting(true)}>Delete<//>`}
    </div>
    <${Facts} file=${file} />
    ${deleting && html`<${DeleteDialog} file=${file} onClose=${() => setDeleting(false)} onStarted=${begun} />`}`;
}

function Facts({ file }) {
  const found = [
    ["Bundle", file.bundle],
    ["Size", file.size !== null && size(file.size)],
    ["Changed", moment(file.modified_at)],
    ["DAGs", file.dag_ids.length > 0 && file.dag_ids.map((id, at) => html`${at > 0 && ", "}<${DagLink} id=${id} />`)],
    ["Deployed", file.deployed && `version ${file.deployed.version} by ${file.deployed.user}, ${moment(file.deployed.at)}`],
  ];
  return html`<dl class="facts">${found.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Content({ file }) {
  const lines = useMemo(() => new Lines(), []);
  const [state, setState] = useState({ ready: false, error: null, text: false });
  useEffect(() => {
    contentText(file).then(
      (text) => {
        if (text !== null) lines.add("stdout", text);
        setState({ ready: true, error: null, text: text !== null });
      },
      (error) => setState({ ready: true, error, text: false }),
    );
  }, []);
  if (state.error) return html`<${ErrorNotice} error=${state.error} />`;
  if (!state.ready) return html`<div class="log"><${Loading} /></div>`;
  if (!state.text) return html`<p class="empty">${file.size === null ? "There is no such file now." : "It is not a text, or too long to be shown: download it."}</p>`;
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  return html`<${LogPane} lines=${lines} label="Content of ${file.path}" kind="text" empty="The file is empty." downloads=${[]} />`;
}

function DeleteDialog({ file, onClose, onStarted }) {
  const [records, setRecords] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const remove = async () => {
    setBusy(true);
    try {
      onStarted(await begin(filePath(file, "", records ? { records: true } : {}), { method: "DELETE" }));
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const footer = html`<${Button} onClick=${onClose} autofocus>Cancel<//><${Button} kind="danger" icon="trash" busy=${busy} onClick=${remove}>Delete<//>`;
  return html`<${Dialog} title="Delete ${visible(file.path)}?" onClose=${onClose} footer=${footer}>
    <p>It is taken out of ${file.bundle}${file.dag_ids.length ? `, and with it ${file.dag_ids.length === 1 ? "the DAG" : "the DAGs"} ${file.dag_ids.join(", ")}` : ""}. Its history stays: it can be brought back.</p>
    ${file.dag_ids.length > 0 && html`<${SwitchField} label="Delete the records of its DAGs as well" value=${records} onInput=${setRecords} hint="Runs, task instances and the rest: this cannot be taken back." />`}
    <${ErrorNotice} error=${error} />
  <//>`;
}
