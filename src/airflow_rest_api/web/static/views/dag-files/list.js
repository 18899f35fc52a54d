/** The files of a bundle, with what became of them. */
import { html, useMemo, useState } from "../../vendor/preact.js";
import { foldersOf } from "../../lib/dag_files.js";
import { go } from "../../lib/router.js";
import { moment, plural, size, visible } from "../../lib/text.js";
import { Badge, ErrorNotice, Link, Loading } from "../../parts/basic.js";
import { SelectField } from "../../parts/fields.js";
import { Icon } from "../../parts/icons.js";
import { useWindow } from "../../parts/window.js";

const ROW = 56;

/** @param {object} props bundles; bundle: the chosen one's name; files: as of useFiles; chosen: a path; shown: what else is shown */
export function FileList({ bundles, bundle, files, chosen, shown }) {
  const [text, setText] = useState("");
  const [folder, setFolder] = useState("");
  const all = files.files;
  const folders = useMemo(() => foldersOf(all ?? []), [all]);
  const found = useMemo(() => chosenOf(all ?? [], text, folder), [all, text, folder]);
  const view = useWindow(found.length, ROW);
  const kinds = (bundles ?? []).map((one) => [one.name, one.writable ? one.name : `${one.name} (read only)`]);
  const tab = (name, words) => html`<${Link} view="dag-files" params=${{ bundle, show: name }} class="button small" aria-current=${!chosen && (shown ?? "deploy") === name ? "page" : undefined}>${words}<//>`;
  return html`<div class="pane-head">
      <div class="row dag-files-tabs">${tab("deploy", html`<${Icon} name="upload" />Deploy`)}${tab("deployments", html`<${Icon} name="clock" />Deployments`)}</div>
      <div class="filter-main filter">
        <${SelectField} label="Bundle" value=${bundle ?? ""} onInput=${(name) => go("dag-files", { bundle: name })} options=${kinds} />
        <${SelectField} label="Folder" value=${folder} onInput=${setFolder} options=${[["", "all"], ...folders]} />
      </div>
      <span class="search"><${Icon} name="search" /><input type="search" aria-label="Find a file or a DAG" placeholder="File or DAG" value=${text} onInput=${(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck=${false} /></span>
      <p class="muted small-text" role="status">${all ? `${found.length === all.length ? "" : `${found.length.toLocaleString()} of `}${plural(all.length, "file")}${files.more ? ", more are coming" : ""}` : "\u00a0"}</p>
    </div>
    <div class="scroll" ref=${view.ref}>
      <${ErrorNotice} error=${files.error} />
      ${all === null && bundle && html`<${Loading} what="Loading the files" />`}
      ${all && found.length === 0 && !files.error && html`<p class="empty">${all.length ? "No file is like that." : "There are no files in this bundle."}</p>`}
      <ul class="picks fixed" aria-label="Files">
        ${view.before > 0 && html`<li style=${{ height: `${view.before}px` }} aria-hidden="true"></li>`}
        ${found.slice(view.first, view.last).map((file) => html`<li key=${file.path}><${Entry} file=${file} chosen=${file.path === chosen} /></li>`)}
        ${view.after > 0 && html`<li style=${{ height: `${view.after}px` }} aria-hidden="true"></li>`}
      </ul>
    </div>`;
}

function chosenOf(files, text, folder) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return files.filter((file) => {
    if (folder && !file.path.startsWith(`${folder}/`)) return false;
    const known = `${file.path} ${file.dag_ids.join(" ")}`.toLowerCase();
    return words.every((word) => known.includes(word));
  });
}

function Entry({ file, chosen }) {
  const at = file.path.lastIndexOf("/") + 1;
  return html`<${Link} class="pick" view="dag-files" params=${{ bundle: file.bundle, path: file.path }} aria-current=${chosen ? "true" : undefined} title=${file.path}>
    <span class="pick-top"><span class="file-name"><span class="muted">${visible(file.path.slice(0, at))}</span><b>${visible(file.path.slice(at))}</b></span><${Marks} file=${file} /></span>
    <span class="pick-facts"><span class="grow">${file.dag_ids.length ? file.dag_ids.join(", ") : "no DAG"}</span><span title=${moment(file.modified_at)}>${file.size === null ? "" : size(file.size)}</span></span>
  <//>`;
}

/** What one should know of a file. */
export function Marks({ file }) {
  if (file.size === null && !file.unlisted) return html`<${Badge} tone="bad" title="It was deployed, and is gone">gone<//>`;
  if (file.changed_outside) return html`<${Badge} tone="bad" title="What lies there is not what was deployed last">changed outside<//>`;
  return file.deployed && html`<${Badge} title="Deployed by ${file.deployed.user}, ${moment(file.deployed.at)}">v${file.deployed.version}<//>`;
}
