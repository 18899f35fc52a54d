/** Files on their way into a bundle: what they are, what a check finds, how they are deployed. */
import { html, useMemo, useState } from "../../vendor/preact.js";
import { begin, foldersOf } from "../../lib/dag_files.js";
import { onHost } from "../../lib/facts.js";
import { once } from "../../lib/once.js";
import { plural, visible } from "../../lib/text.js";
import { Button, ErrorNotice, Notice } from "../../parts/basic.js";
import { ask } from "../../parts/dialog.js";
import { FileField, SelectField, SuggestField, SwitchField } from "../../parts/fields.js";
import { OperationPanel } from "../../parts/operation_panel.js";
import { reportOf } from "./report.js";

const ARCHIVE = /\.(zip|tar\.gz|tgz)$/i;

/** @param {object} props bundles; bundle: the chosen one's name; files: those that are there; folder; onDone: files may have changed */
export function Deploy({ bundles, bundle, files: there, folder: given, onDone }) {
  const place = bundles.find((one) => one.name === bundle);
  const [files, setFiles] = useState([]);
  const [folder, setFolder] = useState(given || place?.folders?.[0] || "");
  const [options, setOptions] = useState({ unpack: true, overwrite: false, dags: "", wait: true });
  const [operation, setOperation] = useState(null);
  const [busy, setBusy] = useState("");
  const [error, setError] = useState(null);
  const sending = useMemo(once, []);
  const folders = useMemo(() => foldersOf(there), [there]);
  const result = useMemo(() => reportOf(files, folder), [operation?.id]);
  const archive = files.length === 1 && ARCHIVE.test(files[0].name);
  const set = (name) => (value) => setOptions((before) => ({ ...before, [name]: value }));
  if (!place) return html`<${Notice}>There is no bundle that you may deploy in.<//>`;
  const start = async (name, path) => {
    setBusy(name);
    setError(null);
    try {
      const form = formOf(files, bundle, folder, options, archive);
      setOperation(await sending([path, bundle, folder, JSON.stringify(options), ...files], (headers) => begin(path, { method: "POST", form, headers })));
    } catch (problem) {
      setError(problem);
    }
    setBusy("");
  };
  const names = html`<ul class="asked">${files.slice(0, 12).map((file, at) => html`<li key=${at}>${visible(file.name)}</li>`)}${files.length > 12 && html`<li>and ${files.length - 12} more</li>`}</ul>`;
  const where = `${bundle}${folder ? `, folder ${folder}` : ""}`;
  const check = async () => {
    const text = html`<p>The files are imported as Airflow would: their code runs${onHost}. Nothing is written.</p>${names}`;
    if (await ask({ title: `Check ${plural(files.length, "file")}?`, text, yes: "Check" })) await start("check", "/v2/dag-files/check");
  };
  const deploy = async () => {
    const text = html`<p>These files are checked, which runs their code${onHost}, and then put into ${where}: all of them, or none.
      ${options.overwrite ? " Those that are there are replaced." : ""}${WORDS[options.dags]}</p>${names}`;
    if (await ask({ title: `Deploy ${plural(files.length, "file")}?`, text, yes: "Deploy", danger: options.overwrite })) await start("deploy", "/v2/dag-files");
  };
  const ready = files.length > 0 && place.writable;
  return html`<h2 class="large">Deploy</h2>
    ${!place.writable && html`<${Notice} tone="idle">Nothing can be put into ${bundle}. ${place.reason}<//>`}
    ${place.writable && html`<form class="card" aria-label="Deploy" onSubmit=${(event) => event.preventDefault()}>
      <${FileField} label="Files" multiple files=${files} onFiles=${setFiles} hint="DAG files, what they import, or one packed project folder (.zip, .tar.gz)." />
      <div class="fields">
        <${SuggestField} label="Folder" value=${folder} onInput=${setFolder} placeholder="the bundle itself" suggest=${async (text) => folders.filter((one) => one.includes(text)).slice(0, 25)}
          hint=${place.folders ? `You may deploy in ${place.folders.join(", ")}.` : "It need not exist yet."} />
        <${SelectField} label="Their DAGs" value=${options.dags} onInput=${set("dags")} options=${[["", "stay as they are"], ["pause", "are paused"], ["unpause", "are resumed"]]} />
        ${archive && html`<${SwitchField} label="Unpack the archive" value=${options.unpack} onInput=${set("unpack")} hint="Otherwise it is put there as it is: a packaged DAG." />`}
        <${SwitchField} label="Replace files that are there" value=${options.overwrite} onInput=${set("overwrite")} />
        <${SwitchField} label="Wait until Airflow has parsed them" value=${options.wait} onInput=${set("wait")} />
      </div>
      <div class="row">
        <${Button} icon="search" busy=${busy === "check"} disabled=${!ready || busy === "deploy"} onClick=${check}>Check<//>
        <${Button} kind="primary" icon="upload" busy=${busy === "deploy"} disabled=${!ready || busy === "check"} onClick=${deploy}>Deploy<//>
      </div>
      <${ErrorNotice} error=${error} />
    </form>`}
    ${operation && html`<${OperationPanel} key=${operation.id} id=${operation.id} initial=${operation} result=${result} onEnd=${onDone} />`}`;
}

const WORDS = { "": "", pause: " Their DAGs are paused.", unpause: " Their DAGs are resumed." };

function formOf(files, bundle, folder, options, archive) {
  const form = new FormData();
  form.append("bundle", bundle);
  if (folder) form.append("folder", folder);
  for (const name of ["overwrite", "wait"]) form.append(name, String(options[name]));
  if (options.dags) form.append(options.dags, "true");
  for (const file of files) form.append(archive && options.unpack ? "archive" : "file", file, file.name);
  return form;
}
