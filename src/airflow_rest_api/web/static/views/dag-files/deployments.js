/** What was deployed, by whom and when. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { call } from "../../lib/api.js";
import { CHANGES } from "../../lib/dag_files.js";
import { persist, useLoaded } from "../../lib/loaded.js";
import { useRoving } from "../../lib/roving.js";
import { moment, plural } from "../../lib/text.js";
import { Badge, Button, ErrorNotice, Link, Loading, Name } from "../../parts/basic.js";

const KINDS = { deploy: "Deployed", rollback: "Brought back", delete: "Deleted" };

export function Deployments() {
  const [state, setState] = useState({ found: null, next: null, error: null });
  const [busy, setBusy] = useState(false);
  const failed = (error) => setState((before) => ({ ...before, error }));
  const load = async (cursor, signal) => {
    const page = await call(`/v2/dag-files/deployments?${new URLSearchParams({ limit: 50, ...(cursor ? { cursor } : {}) })}`, { signal });
    setState((before) => ({ found: [...(cursor ? before.found : []), ...page.deployments], next: page.next, error: null }));
  };
  const older = async () => {
    setBusy(true);
    await load(next).catch(failed);
    setBusy(false);
  };
  useEffect(() => persist((signal) => load(null, signal), failed), []);
  const { found, next, error } = state;
  const list = useRef();
  useRoving(list, { items: "summary" });
  return html`<h2 class="large">Deployments</h2>
    <${ErrorNotice} error=${error} />
    ${found === null && !error && html`<${Loading} what="Loading the deployments" />`}
    ${found?.length === 0 && !next && html`<p class="empty">Nothing was deployed here yet.</p>`}
    <ol class="versions" aria-label="Deployments" ref=${list}>${found?.map((one) => html`<li key=${one.id}><${Deployment} deployment=${one} /></li>`)}</ol>
    ${next && html`<div><${Button} small icon="down" busy=${busy} onClick=${() => busy || older()}>Older ones<//></div>`}`;
}

function Deployment({ deployment }) {
  const [open, setOpen] = useState(false);
  return html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><span class="deployment"><b>${KINDS[deployment.kind] ?? deployment.kind}</b> <span>${plural(deployment.count, "file")} in ${deployment.bundle} by ${deployment.user}</span> <span class="muted">${moment(deployment.at)}</span></span></summary>
    ${open && html`<${Files} deployment=${deployment} />`}
  </details>`;
}

function Files({ deployment }) {
  const [found, error] = useLoaded(`/v2/dag-files/deployments/${deployment.id}`);
  if (error) return html`<${ErrorNotice} error=${error} />`;
  if (!found) return html`<${Loading} />`;
  return html`<div class="stack"><ul class="report-files">${found.files.map((file) => html`<li key=${file.path} class="row">
      <${Badge}>${CHANGES[file.change] ?? file.change}<//><${Link} view="dag-files" params=${{ bundle: deployment.bundle, path: file.path }}><${Name} text=${file.path} /><//><span class="muted">v${file.version}</span></li>`)}</ul>
    ${deployment.operation_id && html`<p><${Link} view="operations" params=${{ id: deployment.operation_id }}>The operation that did it<//></p>`}</div>`;
}
