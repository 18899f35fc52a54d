/** The JSON that a command printed: a table where it is a list of objects, and as it is. */
import { html, useMemo, useState } from "../vendor/preact.js";
import { csv } from "../lib/csv.js";
import { plural } from "../lib/text.js";
import { Button, Notice } from "./basic.js";
import { Code } from "./code.js";
import { Icon } from "./icons.js";
import { save } from "./logpane.js";
import { Table, text } from "./table.js";

const isTable = (value) => Array.isArray(value) && value.length > 0 && value.every((row) => row && typeof row === "object" && !Array.isArray(row));

/** Whether a whole number in a JSON is beyond those that a script has exactly: it has become another one. */
export const hasOther = (value) => (typeof value === "number" ? Number.isInteger(value) && !Number.isSafeInteger(value) : value !== null && typeof value === "object" && Object.values(value).some(hasOther));

/** @param {object} props value: any JSON; operation: that printed it */
export function Result({ value, operation }) {
  const table = isTable(value);
  const other = useMemo(() => hasOther(value), [value]);
  const [raw, setRaw] = useState(!table);
  const [wanted, setWanted] = useState("");
  const found = useMemo(() => (table ? narrowed(value, wanted) : value), [value, wanted]);
  const json = useMemo(() => JSON.stringify(found, null, 2), [found]);
  const download = () => save(new Blob([asCsv(found)], { type: "text/csv" }), nameOf(operation));
  return html`<div class="result">
    ${other && html`<${Notice} tone="warn">A whole number in it is too large for this page, which shows another one: the output has it as it was printed.<//>`}
    <div class="row result-bar">
      ${Array.isArray(value) && html`<span class="muted small-text" role="status">${found.length === value.length ? "" : `${found.length.toLocaleString()} of `}${plural(value.length, "row")}</span>`}
      <span class="grow"></span>
      ${table && html`<span class="search result-search"><${Icon} name="search" /><input type="search" aria-label="Filter the rows" placeholder="Filter the rows" value=${wanted} onInput=${(event) => setWanted(event.currentTarget.value)} autocomplete="off" spellcheck=${false} /></span>
        <${Button} kind="quiet" small icon="download" label="Save the rows as CSV" onClick=${download}>CSV<//>
        <div class="choice" role="group" aria-label="Show the result">
        <button type="button" aria-pressed=${String(!raw)} onClick=${() => setRaw(false)}>Table</button><button type="button" aria-pressed=${String(raw)} onClick=${() => setRaw(true)}>JSON</button></div>`}
    </div>
    ${raw ? html`<${Code} text=${json} label="Result as JSON" tall />` : html`<${Rows} all=${value} rows=${found} />`}
  </div>`;
}

/** Rows that hold each of the words, in any of their values. */
function narrowed(rows, wanted) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return rows;
  return rows.filter((row) => {
    const said = Object.values(row).map(text).join("\n").toLowerCase();
    return words.every((word) => said.includes(word));
  });
}

/** All of the columns, of which the first rows may not have one, and all of the rows as they came. */
function asCsv(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return csv(names, rows.map((row) => names.map((name) => text(row[name]))));
}

const nameOf = (operation) => (operation ? `${operation.command.replaceAll(" ", "-")}-${operation.id.slice(-8)}.csv` : "result.csv");

/** `all` rows decide on the columns, which stay as they are while one types. */
function Rows({ all, rows }) {
  const columns = useMemo(() => {
    const names = new Set();
    for (const row of all.slice(0, 200)) for (const name of Object.keys(row)) names.add(name);
    return [...names].map((name) => ({
      id: name,
      label: name,
      value: (row) => row.value[name],
      end: all.every((row) => row[name] == null || typeof row[name] === "number"),
      width: width(all, name),
    }));
  }, [all]);
  const keyed = useMemo(() => rows.map((value, at) => ({ value, at })), [rows]);
  return html`<${Table} columns=${columns} rows=${keyed} rowKey=${(row) => row.at} label="Result" empty="No row has that." />`;
}

// By the longest of the first values, so that the columns stay where they are while one scrolls.
function width(rows, name) {
  const longest = Math.max(name.length + 2, ...rows.slice(0, 100).map((row) => text(row[name]).length));
  return `${Math.min(340, Math.max(80, longest * 8.3 + 28))}px`;
}
