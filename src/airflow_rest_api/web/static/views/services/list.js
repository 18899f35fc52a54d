/** The list of components. */
import { html, useState } from "../../vendor/preact.js";
import { seconds, useTicks } from "../../lib/clock.js";
import { duration, moment } from "../../lib/text.js";
import { Badge, Button, ErrorNotice, Link, Loading, StateBadge } from "../../parts/basic.js";
import { SelectField } from "../../parts/fields.js";

const ENDED = new Set(["stopped", "failed", "lost"]);

/** Whether nothing runs any more. */
export const hasEnded = (service) => ENDED.has(service.state);

const SHOWN = {
  "": () => true,
  running: (service) => !hasEnded(service),
  ended: hasEnded,
  managed: (service) => service.managed,
};

/** @param {object} props services; error; titles by kind; chosen: an id; mayStart; onStart */
export function ServiceList({ services, error, titles, chosen, mayStart, onStart }) {
  const [shown, setShown] = useState("");
  const [host, setHost] = useState("");
  useTicks(true);
  const hosts = [...new Set((services ?? []).map((service) => service.host))].sort();
  const found = services?.filter((service) => SHOWN[shown](service) && (!host || service.host === host));
  return html`<div class="pane-head">
      <${Button} kind="primary" icon="play" disabled=${!mayStart} onClick=${onStart}>Start a component<//>
      <div class="filter-main">
        <${SelectField} label="Show" value=${shown} onInput=${setShown} options=${[["", "all"], ["running", "running"], ["ended", "ended"], ["managed", "started here"]]} />
        <${SelectField} label="Host" value=${host} onInput=${setHost} options=${[["", "any"], ...hosts]} />
      </div>
    </div>
    <div class="scroll">
      ${!chosen && html`<${ErrorNotice} error=${error} />`}
      ${services === null && !error && html`<${Loading} what="Loading the components" />`}
      ${found?.length === 0 && html`<p class="empty">${services.length ? "No component is like that." : "No component is known."}</p>`}
      <ul class="picks" aria-label="Components">
        ${found?.map((service) => html`<li key=${service.id}><${Entry} service=${service} title=${titles[service.kind] ?? service.kind} chosen=${service.id === chosen} /></li>`)}
      </ul>
    </div>`;
}

const Entry = ({ service, title, chosen }) => html`<${Link} class="pick" view="services" params=${{ id: service.id }} aria-current=${chosen ? "true" : undefined}>
  <span class="pick-top"><b>${title}</b><${StateBadge} state=${service.state} /></span>
  <span class="pick-facts"><span class="grow">${service.host}${service.pid ? ` · ${service.pid}` : ""}</span>${!service.managed && html`<${Badge} title="It was not started here">unmanaged<//>`}</span>
  <span class="pick-facts"><${Since} service=${service} /><span class="grow"></span><${Heartbeat} job=${service.airflow} ended=${hasEnded(service)} /></span>
<//>`;

/** For how long it has been running, or since when not any more. */
function Since({ service }) {
  const at = hasEnded(service) ? service.ended_at : service.started_at;
  if (!at) return html`<span>${hasEnded(service) ? "ended" : "not yet started"}</span>`;
  const words = hasEnded(service) ? `ended ${rough(seconds(at))} ago` : `for ${rough(seconds(at))}`;
  return html`<time datetime=${at} title=${moment(at)}>${words}</time>`;
}

/** What Airflow's table of jobs says. */
export function Heartbeat({ job, ended = false, short = false }) {
  if (!job || ended) return null;
  if (!job.latest_heartbeat) return html`<span>${short ? "none yet" : "no heartbeat yet"}</span>`;
  const words = `${short ? "" : "heartbeat "}${rough(seconds(job.latest_heartbeat))} ago`;
  return html`<span class=${job.healthy ? "healthy" : "unhealthy"} title=${job.healthy ? "Airflow finds it healthy" : "Airflow finds it unhealthy"}>
    <span class="dot" aria-hidden="true"></span>${words}${job.healthy ? "" : ": unhealthy"}</span>`;
}

// Tenths of a second tell nobody anything here.
const rough = (value) => (value < 10 ? `${Math.floor(value)} s` : value < 172_800 ? duration(value) : `${Math.floor(value / 86_400)} days`);
