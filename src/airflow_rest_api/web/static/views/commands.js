/** All commands: a list to search, and the one that is chosen. */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { find } from "../lib/find.js";
import { useLoaded } from "../lib/loaded.js";
import { useRoving } from "../lib/roving.js";
import { go } from "../lib/router.js";
import { plural } from "../lib/text.js";
import { EffectBadge, Empty, ErrorNotice, EFFECTS, Link, Loading } from "../parts/basic.js";
import { Icon } from "../parts/icons.js";
import { lazy } from "../parts/lazy.js";
import { Panes } from "../parts/panes.js";

const Command = lazy(() => import("./command.js"), "Command");

export function View({ params, turns }) {
  const [said, error] = useLoaded("/v2/commands");
  const commands = said?.commands ?? null;
  const chosen = params.get("command");
  const summary = commands?.find((one) => one.path === chosen);
  const list = html`<${List} commands=${commands} error=${error} chosen=${chosen} text=${params.get("q") ?? ""} effect=${params.get("effect") ?? ""} />`;
  return html`<h1 class="away">Commands</h1>
    <${Panes} chosen=${chosen} list=${list} onBack=${() => go("commands")}>
      ${chosen && html`<${ErrorNotice} error=${error} />`}
      ${summary
        ? html`<${Command} key=${`${summary.path} ${turns}`} summary=${summary} params=${params} />`
        : commands && (chosen ? html`<${Empty}>There is no command ${chosen.replaceAll("/", " ")}. <${Link} view="commands">All commands<//><//>` : html`<${Welcome} commands=${commands} />`)}
    <//>`;
}

/** Where a key is a sign of what is being written. */
const WRITTEN_IN = "textarea, select, input:not([type=checkbox], [type=radio], [type=file])";

function List({ commands, error, chosen, text, effect }) {
  const [typed, setTyped] = useState(text);
  const [only, setOnly] = useState(effect);
  const input = useRef();
  const list = useRef();
  const effects = useRef();
  useRoving(effects, { items: "button", way: "horizontal" });
  const found = useMemo(() => commands && find(only ? commands.filter((one) => one.effect === only) : commands, typed), [commands, typed, only]);
  useEffect(() => {
    // "/" looks for something, as in other lists of the kind, unless one is writing.
    const key = (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || document.activeElement?.matches(WRITTEN_IN)) return;
      // On a narrow window the form has the place of the list.
      if (!input.current?.checkVisibility()) return;
      event.preventDefault();
      input.current.focus();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  useEffect(() => list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }), [chosen, commands]);
  return html`<div class="pane-head">
      <label class="search"><span class="away">Search the commands</span><${Icon} name="search" />
        <input ref=${input} type="search" value=${typed} onInput=${(event) => setTyped(event.currentTarget.value)} placeholder="Search commands ( / )" autocomplete="off" spellcheck=${false} /></label>
      <div class="choice wrap" role="group" aria-label="Show the commands that" ref=${effects}>
        ${Object.keys(EFFECTS).map((one) => html`<button type="button" key=${one} title=${EFFECTS[one]} aria-pressed=${String(only === one)} onClick=${() => setOnly(only === one ? "" : one)}>${one}</button>`)}
      </div>
      <span class="away" role="status">${found ? plural(found.length, "command") : ""}</span>
    </div>
    <div class="scroll" ref=${list}>
      ${!chosen && html`<${ErrorNotice} error=${error} />`}
      ${!found ? !error && html`<${Loading} />` : found.length === 0 ? html`<${Empty}>No command has that.<//>` : typed.trim() ? html`<ul>${found.map((one) => html`<${Entry} key=${one.command.path} ...${one} chosen=${chosen} />`)}</ul>` : groups(found).map(([group, members]) => html`<section key=${group} aria-label=${group}>
        <h2 class="group">${group}</h2><ul>${members.map((one) => html`<${Entry} key=${one.command.path} ...${one} chosen=${chosen} />`)}</ul></section>`)}
    </div>`;
}

const ALONE = "other";

/** Commands by their first word; those of a single word stand together at the end. */
function groups(found) {
  const made = new Map();
  for (const one of found) {
    const [group, ...rest] = one.command.name.split(" ");
    const name = rest.length ? group : ALONE;
    if (!made.has(name)) made.set(name, []);
    made.get(name).push(one);
  }
  return [...made].sort(([a], [b]) => (a === ALONE) - (b === ALONE) || a.localeCompare(b));
}

const Entry = ({ command, because, chosen }) => html`<li><${Link} view="commands" params=${{ command: command.path }} class="entry${command.allowed ? "" : " denied"}" aria-current=${command.path === chosen ? "true" : undefined}>
  <span class="entry-name">${command.name}${!command.allowed && html`<span class="entry-lock" title=${command.refusal?.message}><${Icon} name="lock" size="13" /><span class="away">${command.refusal?.option ? "switched off" : "not allowed"}</span></span>`}</span>
  ${command.effect !== "read" && html`<${EffectBadge} effect=${command.effect} />`}
  ${because && html`<span class="entry-because">${because}</span>`}
<//></li>`;

/** Before anything is chosen: what there is, and what one starts with. */
function Welcome({ commands }) {
  const tiles = useRef();
  useRoving(tiles, { items: "a", way: "both" });
  const counts = Object.keys(EFFECTS).map((effect) => [effect, commands.filter((one) => one.effect === effect).length]);
  const first = ["dags/list", "dags/trigger", "dags/list-import-errors", "tasks/test", "backfill/create", "connections/list", "variables/set", "config/lint"];
  const often = first.map((path) => commands.find((one) => one.path === path)).filter(Boolean);
  const allowed = commands.filter((one) => one.allowed).length;
  return html`<div class="page">
    <div><h2 class="large">Every <code>airflow</code> command, from here</h2>
      <p class="muted">${plural(commands.length, "command")} of this Airflow, of which you may run ${allowed === commands.length ? "all" : allowed.toLocaleString()}. Search on the left, or start with one of these.</p></div>
    <ul class="tiles" ref=${tiles}>${often.map((one) => html`<li key=${one.path}><${Link} view="commands" params=${{ command: one.path }} class="tile"><b>${one.name}</b><span>${one.help}</span><//></li>`)}</ul>
    <dl class="legend">${counts.map(([effect, count]) => html`<div key=${effect}><dt><${EffectBadge} effect=${effect} /></dt><dd>${EFFECTS[effect]}<span class="muted"> · ${count}</span></dd></div>`)}</dl>
  </div>`;
}
