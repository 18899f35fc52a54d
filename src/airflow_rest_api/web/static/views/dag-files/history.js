/** The versions of a file: what each one changed, and the way back to it. */
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { call, send } from "../../lib/api.js";
import { begin, CHANGES, content, filePath } from "../../lib/dag_files.js";
import { onHost } from "../../lib/facts.js";
import { once } from "../../lib/once.js";
import { useRoving } from "../../lib/roving.js";
import { moment, size, visible } from "../../lib/text.js";
import { Badge, Button, ErrorNotice, Loading } from "../../parts/basic.js";
import { ask } from "../../parts/dialog.js";
import { Diff } from "../../parts/diff.js";
import { SelectField } from "../../parts/fields.js";
import { save } from "../../parts/logpane.js";
import { toast } from "../../parts/toast.js";

const KINDS = { deploy: "deployed", rollback: "brought back", delete: "deleted" };

/** @param {object} props file; writable: its bundle is; onStarted(operation): it is being brought back */
export function History({ file, writable, onStarted }) {
  const [state, setState] = useState({ versions: null, error: null });
  useEffect(() => {
    call(filePath(file, "history")).then((found) => setState({ versions: found.versions, error: null }), (error) => setState({ versions: [], error }));
  }, []);
  const { versions, error } = state;
  const list = useRef();
  useRoving(list, { items: "button", way: "both" });
  if (error) return html`<${ErrorNotice} error=${error} />`;
  if (!versions) return html`<${Loading} what="Loading the versions" />`;
  if (!versions.length) return html`<p class="empty">It never came through here: it has no versions.</p>`;
  return html`<div class="stack">
    <ol class="versions" aria-label="Versions" ref=${list}>${versions.map((version) => html`<li key=${version.version}><${Version} file=${file} version=${version} writable=${writable} onStarted=${onStarted} /></li>`)}</ol>
    <${Compare} file=${file} versions=${versions} />
  </div>`;
}

function Version({ file, version, writable, onStarted }) {
  const [busy, setBusy] = useState("");
  const number = version.version;
  const sending = useMemo(once, []);
  const act = async (name, work) => {
    setBusy(name);
    try {
      await work();
    } catch (error) {
      toast(error.message, "bad");
    }
    setBusy("");
  };
  const download = () => act("download", async () => save(await content(file, number), file.path.slice(file.path.lastIndexOf("/") + 1)));
  const back = async () => {
    const text = `Version ${number} of ${visible(file.path)} is checked, which runs its code${onHost}, and replaces what lies in ${file.bundle}.`;
    if (!(await ask({ title: `Bring back version ${number}?`, text, yes: "Bring back", danger: true }))) return;
    const send = (headers) => begin(filePath(file, "rollback", { wait: true }), { method: "POST", json: { version: number }, headers });
    await act("back", async () => onStarted(await sending([], send)));
  };
  return html`<div class="row">
    <b class="version-number">v${number}</b>
    <${Badge} tone=${{ outside: "bad", deleted: "bad", added: "good" }[version.change] ?? "idle"}>${CHANGES[version.change] ?? version.change}<//>
    <span>${version.change === "outside" ? "found when it was replaced" : `${KINDS[version.kind] ?? version.kind} by ${version.user}`}, ${moment(version.at)}</span>
    <span class="muted">${version.size === null ? "" : size(version.size)}</span>
    <span class="grow"></span>
    ${version.sha256 && html`<${Button} small kind="quiet" icon="download" label="Download version ${number}" busy=${busy === "download"} onClick=${download} />`}
    ${version.sha256 && writable && html`<${Button} small icon="refresh" busy=${busy === "back"} onClick=${back}>Bring back<//>`}
  </div>`;
}

/** The difference between two versions, or between one and what lies there now. */
function Compare({ file, versions }) {
  const kept = versions.map((version) => version.version);
  const [from, setFrom] = useState(String(kept[file.changed_outside ? 0 : Math.min(1, kept.length - 1)]));
  const [to, setTo] = useState(file.changed_outside || kept.length === 1 ? "" : String(kept[0]));
  const [state, setState] = useState({ text: null, label: "", error: null });
  useEffect(() => {
    const abort = new AbortController();
    // Until it has come, what is there is of others.
    const label = `From version ${from} to ${to ? `version ${to}` : "now"}`;
    send(filePath(file, "diff", { from_version: from, to_version: to }), { signal: abort.signal, headers: { Accept: "text/x-diff" } })
      .then((answer) => answer.text())
      .then((text) => setState({ text, label, error: null }), (error) => error.name !== "AbortError" && setState({ text: null, label, error }));
    return () => abort.abort();
  }, [from, to]);
  const names = kept.map((number) => [String(number), `version ${number}`]);
  return html`<section class="stack" aria-label="Compare">
    <div class="fields compare">
      <${SelectField} label="From" value=${from} onInput=${setFrom} options=${names} />
      <${SelectField} label="To" value=${to} onInput=${setTo} options=${[["", "what lies there now"], ...names]} />
    </div>
    <${ErrorNotice} error=${state.error} />
    ${state.text !== null && !state.error && html`<${Diff} text=${state.text} label=${state.label} />`}
  </section>`;
}
