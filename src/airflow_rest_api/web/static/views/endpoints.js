/** The endpoints of the 1.x plugin: what its own page showed, and a form for each. */
import { html, useState } from "../vendor/preact.js";
import { facts } from "../lib/facts.js";
import { useLoaded } from "../lib/loaded.js";
import { go } from "../lib/router.js";
import { Badge, Empty, ErrorNotice, Link, Loading } from "../parts/basic.js";
import { Icon } from "../parts/icons.js";
import { Panes } from "../parts/panes.js";
import { Dags } from "./endpoint-dags.js";
import { Usage } from "./endpoint-usage.js";
import { Endpoint } from "./endpoint.js";

export function View({ params, turns }) {
  const [said, error] = useLoaded("/endpoints.json");
  const endpoints = said?.endpoints;
  const [typed, setTyped] = useState("");
  const chosen = params.get("api");
  const wanted = typed.trim().toLowerCase();
  const found = endpoints?.filter((one) => [one.name, one.description, ...one.arguments.map((each) => each.name)].some((text) => text.toLowerCase().includes(wanted)));
  const endpoint = endpoints?.find((one) => one.name === chosen);
  const list = html`<div class="pane-head">
        <label class="search"><span class="away">Search the endpoints</span><${Icon} name="search" />
          <input type="search" value=${typed} onInput=${(event) => setTyped(event.currentTarget.value)} placeholder="Search the old endpoints" autocomplete="off" spellcheck=${false} /></label>
      </div>
      <div class="scroll">${!chosen && html`<${ErrorNotice} error=${error} />`}${found ? html`<ul>${found.map((one) => html`<li key=${one.name}><${Link} view="endpoints" params=${{ api: one.name }} class="entry" aria-current=${one.name === chosen ? "true" : undefined}>
        <span class="entry-name">${one.name}</span>${one.methods.length === 1 && html`<${Badge}>${one.methods[0]}<//>`}${one.background && html`<${Badge}>background<//>`}<//></li>`)}</ul>` : !error && html`<${Loading} />`}
        ${found?.length === 0 && html`<${Empty}>No endpoint has that.<//>`}</div>`;
  return html`<h1 class="away">Old endpoints</h1>
    <${Panes} chosen=${chosen} list=${list} onBack=${() => go("endpoints")}>
      ${chosen && html`<${ErrorNotice} error=${error} />`}
      ${endpoint ? html`<${Endpoint} key=${`${endpoint.name} ${turns}`} endpoint=${endpoint} params=${params} />` : endpoints && html`<${About} count=${endpoints.length} maySeeUsage=${said.usage} />`}
    <//>`;
}

/** The versions and the DAGs, with which the original's page began; between them who still calls, for those who may know. */
const About = ({ count, maySeeUsage }) => html`<div class="page">
  <div><h2 class="large">The endpoints of the 1.x plugin</h2>
    <p class="muted">Clients of 2016 go on unchanged: ${count} endpoints at <code>${facts.root}/api</code>. For anything new, the commands and the v2 API do more.</p></div>
  <dl class="facts"><div><dt>Airflow</dt><dd><b>${facts.airflow_version}</b></dd></div><div><dt>Plugin</dt><dd><b>${facts.version}</b></dd></div></dl>
  ${maySeeUsage && html`<${Usage} />`}
  <${Dags} />
</div>`;
