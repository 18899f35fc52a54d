/**
 * Output, as it comes: any number of lines, of which only those in sight are in the document. It follows at the end until
 * somebody scrolls back, and again once they are back at the end.
 */
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { framed } from "../lib/facts.js";
import { BOTH } from "../lib/lines.js";
import { LogWindow } from "../lib/logwindow.js";
import { useRoving } from "../lib/roving.js";
import { plural } from "../lib/text.js";
import { Button, CopyButton } from "./basic.js";
import { Icon } from "./icons.js";
import { toast } from "./toast.js";

/** The folds of groups in sight, which are one stop of Tab. */
const FOLDS = { items: ".log-fold" };
/** Whether lines are wrapped: who wants it here wants it in the next log too. */
let wrapped = false;

/**
 * @param {object} props
 *   lines: Lines; label: what it is the output of; live: whether more may come; empty: what to say where there is none;
 *   downloads: [{label, name, get: async () => string | Blob}], by default what is shown
 *   kind: "output", of two streams and at times; "log", of two streams; "text", of lines with numbers
 */
export function LogPane({ lines, label, live = false, empty = "Nothing was printed.", downloads = null, kind = "output" }) {
  const box = useRef(null);
  const pane = useRef(null);
  const [seen, setSeen] = useState({ rows: 0, following: true, unseen: 0, matches: 0, match: -1, groups: 0, folded: false });
  const [stream, setStream] = useState(BOTH);
  const [times, setTimes] = useState(false);
  const [wrap, setWrap] = useState(wrapped);
  useRoving(box, FOLDS);

  useEffect(() => {
    const made = new LogWindow(box.current, lines, setSeen, kind === "text");
    pane.current = made;
    return () => made.end();
  }, [lines]);
  useEffect(() => pane.current.show(stream, times, wrap), [lines, stream, times, wrap]);
  const toggle = (event) => setWrap((wrapped = event.currentTarget.checked));

  const text = () => lines.text(stream);
  const found = downloads ?? [{ label: "Download", name: "output.txt", get: async () => text() }];

  return html`<section class="log" aria-label=${label}>
    <div class="log-bar">
      <${Search} pane=${pane} seen=${seen} />
      <span class="log-count">${plural(seen.rows, "line")}</span>
      <span class="grow"></span>
      ${seen.groups > 0 && html`<${Button} kind="quiet" small icon=${seen.folded ? "right" : "down"} onClick=${() => pane.current.foldAll(!seen.folded)}>${seen.folded ? "Unfold all" : "Fold all"}<//>`}
      <label class="log-times"><input type="checkbox" checked=${wrap} onChange=${toggle} />Wrap</label>
      ${kind === "output" && html`<label class="log-times"><input type="checkbox" checked=${times} onChange=${(event) => setTimes(event.currentTarget.checked)} />Times</label>`}
      ${kind !== "text" && html`<span class="select log-streams"><select aria-label="Streams" value=${stream} onChange=${(event) => setStream(event.currentTarget.value)}>
        <option value=${BOTH}>stdout + stderr</option>
        <option value="stdout">stdout</option>
        <option value="stderr">stderr</option>
      </select><${Icon} name="down" size="14" /></span>`}
      <${CopyButton} text=${text} label="Copy all of it" />
      ${found.map((one) => html`<${Download} key=${one.label} ...${one} />`)}
    </div>
    <div class="log-frame">
      <div class="log-box" ref=${box} tabindex="0" role="region" aria-label=${`${label}: the lines`}></div>
      ${seen.rows === 0 && html`<p class="log-empty">${live ? "Nothing yet." : empty}</p>`}
      <div class="log-end" hidden=${seen.following || kind === "text"}>
        <${Button} small icon="down" onClick=${() => pane.current.follow()}>To the end${seen.unseen ? `: ${plural(seen.unseen, "new line")}` : ""}<//>
      </div>
    </div>
  </section>`;
}

function Search({ pane, seen }) {
  const [text, setText] = useState("");
  const search = (value) => {
    setText(value);
    pane.current.search(value);
  };
  const keys = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      pane.current.next(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape" && text) {
      event.stopPropagation();
      search("");
    }
  };
  return html`<div class="log-search" role="search">
    <span class="search"><${Icon} name="search" /><input type="search" aria-label="Find in the output" placeholder="Find" value=${text}
      onInput=${(event) => search(event.currentTarget.value)} onKeyDown=${keys} autocomplete="off" spellcheck=${false} /></span>
    <span class="log-matches" role="status">${!text ? "" : seen.matches === 0 ? "none" : `${(seen.match + 1).toLocaleString()} of ${seen.matches.toLocaleString()}`}</span>
    <${Button} kind="quiet" small icon="up" label="The match before (Shift+Enter)" disabled=${!seen.matches} onClick=${() => pane.current.next(-1)} />
    <${Button} kind="quiet" small icon="down" label="The next match (Enter)" disabled=${!seen.matches} onClick=${() => pane.current.next(1)} />
  </div>`;
}

function Download({ label, name, get }) {
  const [busy, setBusy] = useState(false);
  const load = async () => {
    setBusy(true);
    try {
      save(await get(), name);
    } catch (error) {
      toast(`${name} could not be downloaded: ${error.message}`, "bad");
    }
    setBusy(false);
  };
  return html`<${Button} kind="quiet" small icon="download" busy=${busy} onClick=${load}>${label}<//>`;
}

/** Have the browser save a text or a Blob as a file. */
export function save(content, name) {
  const blob = content instanceof Blob ? content : new Blob([content], { type: "text/plain" });
  // Before Airflow 3.3 its frame may save nothing; its own document may.
  const link = (framed ? window.parent : window).document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
