/** The JSON that a command printed: a table where it is a list of objects, and as it is. */
import { html, useMemo, useState } from "../vendor/preact.js";
import { plural } from "../lib/text.js";
import { Code } from "./code.js";
import { Table, text } from "./table.js";

const isTable = (value) => Array.isArray(value) && value.length > 0 && value.every((row) => row && typeof row === "object" && !Array.isArray(row));

/** @param {object} props value: any JSON */
export function Result({ value }) {
  const table = isTable(value);
  const [raw, setRaw] = useState(!table);
  const json = useMemo(() => JSON.stringify(value, null, 2), [value]);
  return html`<div class="result">
    <div class="row result-bar">
      ${Array.isArray(value) && html`<span class="muted small-text">${plural(value.length, "row")}</span>`}
      <span class="grow"></span>
      ${table && html`<div class="choice" role="group" aria-label="Show the result">
        <button type="button" aria-pressed=${String(!raw)} onClick=${() => setRaw(false)}>Table</button><button type="button" aria-pressed=${String(raw)} onClick=${() => setRaw(true)}>JSON</button></div>`}
    </div>
    ${raw ? html`<${Code} text=${json} label="Result as JSON" tall />` : html`<${Rows} rows=${value} />`}
  </div>`;
}

function Rows({ rows }) {
  const [columns, keyed] = useMemo(() => {
    const names = new Set();
    for (const row of rows.slice(0, 200)) for (const name of Object.keys(row)) names.add(name);
    const made = [...names].map((name) => ({
      id: name,
      label: name,
      value: (row) => row.value[name],
      end: rows.every((row) => row[name] == null || typeof row[name] === "number"),
      width: width(rows, name),
    }));
    return [made, rows.map((value, at) => ({ value, at }))];
  }, [rows]);
  return html`<${Table} columns=${columns} rows=${keyed} rowKey=${(row) => row.at} label="Result" />`;
}

// By the longest of the first values, so that the columns stay where they are while one scrolls.
function width(rows, name) {
  const longest = Math.max(name.length + 2, ...rows.slice(0, 100).map((row) => text(row[name]).length));
  return `${Math.min(340, Math.max(80, longest * 8.3 + 28))}px`;
}
