/** Buttons, badges, tabs: what every view is made of. */
import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { facts, framed } from "../lib/facts.js";
import { address, go } from "../lib/router.js";
import { copy, visible } from "../lib/text.js";
import { Icon } from "./icons.js";

/**
 * A button. `kind`: plain, primary, danger or quiet; `icon`: a name; with `label` and no children, the icon alone. One that is
 * busy takes no press, and keeps the focus, which one that is disabled lets go, and the keys with it.
 */
export function Button({ kind = "plain", icon, label, children, busy = false, small = false, onClick, ...rest }) {
  const name = `button ${kind}${small ? " small" : ""}${children ? "" : " bare"}`;
  return html`<button type="button" class=${name} aria-label=${children ? undefined : label} title=${label}
    aria-busy=${busy ? "true" : undefined} onClick=${busy ? (event) => event.preventDefault() : onClick} ...${rest}>${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}${children}</button>`;
}

/**
 * A link to a place of the page: opens in a new tab as any link does, and without loading anything otherwise. That of the entry
 * that is chosen (`aria-current="true"`) leads nowhere: its form may have written more into the address.
 */
export function Link({ view, params = {}, children, ...rest }) {
  const follow = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (rest["aria-current"] !== "true") go(view, params);
  };
  return html`<a href=${address(view, params)} onClick=${follow} ...${rest}>${children}</a>`;
}

/** What can be unfolded. `wanted`: something in it asks to be seen, which opens it; nobody but the user closes it. */
export function Fold({ wanted, summary, children }) {
  const [open, setOpen] = useState(wanted);
  useEffect(() => void (wanted && setOpen(true)), [wanted]);
  return html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${summary}</summary>
    ${children}
  </details>`;
}

/** A name that has no room in one line goes on in the next one behind a sign of its own, not in the middle of a word. */
export const Name = ({ text }) => visible(text).split(/(?<=[/_.-])/).map((piece, at) => [at > 0 && html`<wbr />`, piece]);

/** A DAG, with a link to Airflow's page of it; Airflow's frame does not let its document be replaced. */
export const DagLink = ({ id, ...rest }) => (framed ? id : html`<a href="${facts.airflow}/dags/${encodeURIComponent(id)}" ...${rest}>${id}</a>`);

/** Copies a text; says whether it could. `text`: a string, or a function that returns one. */
export function CopyButton({ text, label = "Copy", icon = "copy", children, ...rest }) {
  // "": not asked; otherwise the icon of how it went.
  const [done, setDone] = useState("");
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const click = async () => {
    setDone((await copy(typeof text === "function" ? text() : text)) ? "check" : "warning");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(""), 1500);
  };
  return html`<${Button} kind="quiet" small icon=${done || icon} label=${{ check: "Copied", warning: "It could not be copied" }[done] ?? label} onClick=${click} ...${rest}>${children}<//>`;
}

export const EFFECTS = {
  read: "Only reads",
  write: "Changes Airflow's data",
  execute: "Runs the code of DAG authors",
  service: "Starts, stops or steers a component",
  destructive: "Can lose data",
};

/** What running a command may do. */
export const EffectBadge = ({ effect }) => html`<span class="badge effect-${effect}" title=${EFFECTS[effect]}>${effect}</span>`;

// Of operations and of services, by what the colour says.
const TONES = {
  queued: "idle", running: "busy", succeeded: "good", failed: "bad", cancelled: "idle", timed_out: "bad", lost: "bad",
  starting: "busy", stopping: "busy", restarting: "busy", stopped: "idle",
};

/** The state of an operation or a service; `tone` where the state does not say it all. */
export const StateBadge = ({ state, tone }) => html`<span class="badge state tone-${tone ?? TONES[state] ?? "idle"}"><span class="dot" aria-hidden="true"></span>${state.replace("_", " ")}</span>`;

/** Any other short word in a pill. `tone`: good, bad, busy, idle. */
export const Badge = ({ tone = "idle", children, ...rest }) => html`<span class="badge tone-${tone}" ...${rest}>${children}</span>`;

/**
 * Tabs over panels of one place. `tabs`: `[{id, label, content}]`, where `content` is a function that is called for the
 * chosen one alone; `chosen` and `onChoose` hold the choice.
 */
export function Tabs({ tabs, chosen, onChoose, label }) {
  const prefix = useId();
  const current = tabs.find((tab) => tab.id === chosen) ?? tabs[0];
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length];
    onChoose(next.id);
    document.getElementById(`${prefix}-${next.id}`)?.focus();
  };
  return html`<div class="tabs">
    <div role="tablist" aria-label=${label} class="tablist" onKeyDown=${move}>
      ${tabs.map((tab) => html`<button type="button" role="tab" id="${prefix}-${tab.id}" key=${tab.id} aria-selected=${String(tab === current)}
        aria-controls="${prefix}-panel" tabindex=${tab === current ? 0 : -1} onClick=${() => onChoose(tab.id)}>${tab.label}</button>`)}
    </div>
    <div role="tabpanel" id="${prefix}-panel" aria-labelledby="${prefix}-${current.id}" class="tabpanel">${current.content()}</div>
  </div>`;
}

/** One sentence on something that went wrong, or that one should know, often in the words of others. `tone`: bad, warn, idle. */
export const Notice = ({ tone = "bad", children }) => html`<div class="notice tone-${tone}" role=${tone === "bad" ? "alert" : "status"}>
  <${Icon} name=${tone === "idle" ? "check" : "warning"} /><div>${[children].flat().map((one) => (typeof one === "string" ? visible(one) : one))}</div></div>`;

/** An error as caught from api.js. */
export const ErrorNotice = ({ error, children }) => error && html`<${Notice}>${error.message}${error.retryAfter ? ` Try again in ${error.retryAfter} s.` : ""}${children}<//>`;

/** In place of content that is not there (yet). */
export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

/** While something is on its way; takes no notice of what takes less than a moment. */
export const Loading = ({ what = "Loading" }) => html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${what}…</p>`;
