/** One component: how it is, what can be done about it, what it writes. */
import { html, useState } from "../../vendor/preact.js";
import { call, send } from "../../lib/api.js";
import { seconds, useTicks } from "../../lib/clock.js";
import { go } from "../../lib/router.js";
import { duration, moment, quoted } from "../../lib/text.js";
import { Badge, Button, CopyButton, ErrorNotice, Link, Notice, StateBadge } from "../../parts/basic.js";
import { ask } from "../../parts/dialog.js";
import { LogPane } from "../../parts/logpane.js";
import { hasEnded, Heartbeat } from "./list.js";
import { useServiceLog } from "./log.js";

const path = (service, ...rest) => ["/v2/services", encodeURIComponent(service.id), ...rest].join("/");

/** @param {object} props service; title of its kind; onChange: something was done to it */
export function ServiceDetail({ service, title, onChange }) {
  const line = service.argv.length ? `airflow ${service.argv.map(quoted).join(" ")}` : null;
  return html`<section class="stack" aria-label="${title} on ${service.host}">
    <${Head} key=${service.id} service=${service} title=${title} onChange=${onChange} />
    ${line && html`<div class="operation-line"><code>${line}</code><${CopyButton} text=${line} label="Copy the command line" /></div>`}
    ${service.message && html`<${Notice} tone=${service.state === "failed" || service.state === "lost" ? "bad" : "idle"}>${service.message}<//>`}
    ${!service.managed && html`<${Notice} tone="idle">It was not started here: Airflow's table of jobs shows it. So there is no process to stop and no log to read.<//>`}
    <${Facts} service=${service} />
    ${service.managed && service.log && html`<${Log} service=${service} title=${title} />`}
  </section>`;
}

function Head({ service, title, onChange }) {
  const [busy, setBusy] = useState("");
  const [refused, setRefused] = useState(null);
  const ended = hasEnded(service);
  const running = !ended && service.started_at;
  useTicks(Boolean(running));
  const act = async (name, options, question, after) => {
    if (!(await ask(question))) return;
    setBusy(name);
    setRefused(null);
    try {
      await call(...options);
      after?.();
    } catch (problem) {
      setRefused(problem);
    }
    setBusy("");
    onChange();
  };
  const what = `the ${title.toLowerCase()} on ${service.host}${service.pid ? ` (process ${service.pid})` : ""}`;
  const post = (name, json) => [path(service, name), { method: "POST", headers: { Prefer: "wait=2" }, ...(json ? { json } : {}) }];
  const stop = () => act("stop", post("stop", { force: false }), { title: "Stop it?", text: `This asks ${what} to end. It is killed if it has not after a while.`, yes: "Stop", no: "Keep running", danger: true });
  const kill = () => act("kill", post("stop", { force: true }), { title: "Kill it?", text: `This kills ${what} with all that it has started, at once. What runs in it is lost.`, yes: "Kill", no: "Keep running", danger: true });
  const restart = () => act("restart", post("restart"), { title: ended ? "Start it again?" : "Restart it?", text: `This ${ended ? "starts" : "ends, and starts again,"} ${what}, with the same arguments.`, yes: ended ? "Start again" : "Restart" });
  const forget = () => act("forget", [path(service), { method: "DELETE" }], { title: "Forget it?", text: `This takes ${what} off the list. Its log files stay.`, yes: "Forget", danger: true }, () => go("services"));
  return html`<div class="operation-head">
    <h2 class="large">${title}</h2>
    <span role="status"><${StateBadge} state=${service.state} /></span>
    ${!service.managed && html`<${Badge}>unmanaged<//>`}
    ${running && html`<span class="elapsed">${duration(Math.floor(seconds(service.started_at)))}</span>`}
    <span class="grow"></span>
    ${service.managed && html`
      ${!ended && html`<${Button} small icon="stop" busy=${busy === "stop"} disabled=${service.state === "stopping"} onClick=${stop}>Stop<//>`}
      ${service.state === "stopping" && html`<${Button} small icon="cross" busy=${busy === "kill"} onClick=${kill}>Kill<//>`}
      <${Button} small icon="refresh" busy=${busy === "restart"} disabled=${service.state === "stopping"} onClick=${restart}>${ended ? "Start again" : "Restart"}<//>
      ${ended && html`<${Button} small icon="trash" busy=${busy === "forget"} onClick=${forget}>Forget<//>`}`}
  </div>
  <${ErrorNotice} error=${refused} />`;
}

function Facts({ service }) {
  const job = service.airflow;
  const facts = [
    ["Host", service.host],
    ["Process", service.pid],
    ["Started", moment(service.started_at)],
    ["Ended", moment(service.ended_at)],
    ["Exit code", service.exit_code],
    ["By", service.user],
    ["Restart", service.managed && (service.restart === "never" ? "never" : "when it fails")],
    ["Failures", service.managed && service.restarts > 0 ? service.restarts : null],
    ["Airflow's job", job && `${job.job_id}, ${job.state ?? "no state"}`],
    ["Heartbeat", job && !hasEnded(service) && html`<${Heartbeat} job=${job} short />`],
    ["Operation", service.operation_id && html`<${Link} view="operations" params=${{ id: service.operation_id }}>that started it<//>`],
    ["Log files", service.log && html`<code>${service.log.stdout}</code> <code>${service.log.stderr}</code>`],
  ];
  return html`<dl class="facts">${facts.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Log({ service, title }) {
  const { lines, error } = useServiceLog(service);
  const name = `${service.kind}-${service.id.slice(-8)}`;
  const downloads = ["stdout", "stderr"].map((stream) => ({ label: stream, name: `${name}.${stream}.txt`, get: () => whole(service, stream) }));
  return html`${error && html`<${Notice}>${error.message}<//>`}
    <${LogPane} lines=${lines} label="Log of the ${title.toLowerCase()}" live=${!hasEnded(service)} downloads=${downloads} empty="It has written nothing." kind="log" />`;
}

/** All of a log file, which comes in parts. */
async function whole(service, stream) {
  const parts = [];
  for (let offset = 0; ; ) {
    const answer = await send(`${path(service, "log")}?stream=${stream}&offset=${offset}`, { headers: { Accept: "text/plain" } });
    parts.push(await answer.blob());
    const next = Number(answer.headers.get("X-Output-Next"));
    if (!(next > offset)) return new Blob(parts, { type: "text/plain" });
    offset = next;
  }
}
