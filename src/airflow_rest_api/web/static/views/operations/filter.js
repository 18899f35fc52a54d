/** What of the operations is shown: kept in the address, so that a link shows the same. */
import { html, useEffect, useState } from "../../vendor/preact.js";
import { go } from "../../lib/router.js";
import { EFFECTS, Button, Fold } from "../../parts/basic.js";
import { SelectField, TextField } from "../../parts/fields.js";

const STATES = ["queued", "running", "succeeded", "failed", "cancelled", "timed_out", "lost"];
const NAMES = ["state", "command", "user", "effect", "dag_id", "endpoint", "since", "until"];
/** In place of one effect: all that change something. */
const CHANGES = "changes";
/** In place of the name of an old endpoint: whether it came by one at all. */
const LEGACY = { any: "true", none: "false" };
/** Milliseconds without a key after which what was typed counts. */
const PAUSE = 350;

/** The filter that an address holds, without what is empty. */
export function filterOf(params) {
  return Object.fromEntries(NAMES.map((name) => [name, params.get(name)]).filter(([, value]) => value));
}

/** A time of the address, which has its zone, for a picker, which has that of the browser. */
function picked(time) {
  const date = new Date(time);
  if (Number.isNaN(date.valueOf())) return "";
  const here = new Date(date.valueOf() - date.getTimezoneOffset() * 60_000).toISOString();
  return here.slice(0, here.endsWith(":00.000Z") ? 16 : 19);
}

/** The filter as the API's query: the times in UTC. */
export function queryOf(filter) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (name === "state" && value === "unfinished") ["queued", "running"].forEach((state) => query.append("state", state));
    else if (name === "effect" && value === CHANGES) Object.keys(EFFECTS).filter((effect) => effect !== "read").forEach((effect) => query.append("effect", effect));
    else if (name === "endpoint" && LEGACY[value]) query.set("legacy", LEGACY[value]);
    else if (name === "since" || name === "until") {
      const time = new Date(value);
      if (!Number.isNaN(time.valueOf())) query.set(name, time.toISOString());
    } else query.set(name, value);
  }
  return query;
}

/** @param {object} props filter; chosen: the id of the operation that is shown and stays so */
export function FilterForm({ filter, chosen }) {
  const [typed, setTyped] = useState(filter);
  // What is being typed stays as it is, its spaces too.
  useEffect(() => setTyped((before) => (same(before, filter) ? before : filter)), [JSON.stringify(filter)]);
  useEffect(() => {
    if (same(typed, filter)) return undefined;
    const timer = setTimeout(() => go("operations", { ...clean(typed), id: chosen }, { replace: true }), PAUSE);
    return () => clearTimeout(timer);
  }, [typed, chosen]);
  const field = (name) => ({ value: typed[name] ?? "", onInput: (value) => setTyped((before) => ({ ...before, [name]: value })) });
  // In UTC, so that whoever opens the address sees the same.
  const time = (name) => ({ value: picked(typed[name]), onInput: (value) => field(name).onInput(value && new Date(value).toISOString().replace(".000Z", "Z")) });
  const more = ["user", "dag_id", "endpoint", "since", "until"].filter((name) => typed[name]);
  const any = Object.keys(clean(typed)).length > 0;
  return html`<form class="filter" role="search" aria-label="Filter the operations" onSubmit=${(event) => event.preventDefault()}>
    <div class="filter-main">
      <${TextField} label="Command" placeholder="dags trigger" ...${field("command")} />
      <${SelectField} label="State" ...${field("state")} options=${[["", "any"], ["unfinished", "not ended"], ...STATES.map((state) => [state, state.replace("_", " ")])]} />
      <${SelectField} label="Effect" ...${field("effect")} options=${[["", "any"], [CHANGES, "what changes something"], ...Object.keys(EFFECTS)]} />
    </div>
    <${Fold} wanted=${more.length > 0} summary=${`More filters${more.length ? ` (${more.length})` : ""}`}>
      <div class="filter-more">
        <${TextField} label="DAG" ...${field("dag_id")} />
        <${TextField} label="User" ...${field("user")} />
        <${SelectField} label="Came by" ...${field("endpoint")} options=${cameBy(typed.endpoint)} />
        <${TextField} label="Since" wide type="datetime-local" ...${time("since")} />
        <${TextField} label="Until" wide type="datetime-local" ...${time("until")} />
      </div>
    <//>
    ${any && html`<${Button} small kind="quiet" icon="cross" onClick=${() => setTyped({})}>No filter<//>`}
  </form>`;
}

/** The one that a link has led to is among them. */
const cameBy = (chosen) => [["", "any"], ["any", "an old endpoint"], ["none", "no old endpoint"], ...(chosen && !LEGACY[chosen] ? [chosen] : [])];

const same = (one, other) => JSON.stringify(clean(one)) === JSON.stringify(clean(other));

const clean = (filter) => Object.fromEntries(NAMES.filter((name) => filter[name]).map((name) => [name, filter[name].trim()]));
