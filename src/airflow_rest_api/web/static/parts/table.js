/** A table of any length: sorted by its heads, with no more rows in the document than are in sight. */
import { html, useMemo, useRef, useState } from "../vendor/preact.js";
import { useRoving } from "../lib/roving.js";
import { visible } from "../lib/text.js";
import { Icon } from "./icons.js";
import { useWindow } from "./window.js";

const ROW = 33;

const compare = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;

function order(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return compare(String(a), String(b));
}

/**
 * @param {object} props
 *   columns: `[{id, label, value(row): what it sorts by and shows, cell(row): content in its place, width: CSS, end: to the right,
 *     sortable: false}]`
 *   rows; rowKey(row); label: what the table holds, for those who do not see it
 *   sort: `{id, down}` to begin with; onRow(row): a click on a row; chosen: the key of the row that is marked
 *   links: rows hold links, which are the way into it for the keyboard
 *   empty: shown without rows
 */
export function Table({ columns, rows, rowKey, label, sort: initial = null, onRow, chosen, links = false, empty = "Nothing here." }) {
  const [sort, setSort] = useState(initial);
  const sorted = useMemo(() => {
    const column = sort && columns.find((one) => one.id === sort.id);
    if (!column) return rows;
    const made = [...rows].sort((a, b) => order(column.value(a), column.value(b)));
    return sort.down ? made.reverse() : made;
  }, [rows, sort, columns]);
  const view = useWindow(sorted.length, ROW);
  const heads = useRef();
  useRoving(heads, { items: "button", way: "horizontal" });
  useRoving(view.ref, { items: "tbody a" });
  const choose = (id) => setSort((before) => (before?.id !== id ? { id, down: false } : before.down ? null : { id, down: true }));
  const head = (column) => {
    const way = sort?.id === column.id ? (sort.down ? "descending" : "ascending") : undefined;
    return html`<th key=${column.id} scope="col" aria-sort=${way} class=${column.end ? "end" : ""} style=${{ width: column.width }}>
      ${column.sortable === false
        ? column.label
        : html`<button type="button" onClick=${() => choose(column.id)}>${column.label}${way && html`<${Icon} name=${sort.down ? "down" : "up"} size="13" />`}</button>`}
    </th>`;
  };
  const shown = sorted.slice(view.first, view.last);
  return html`<div class="table" ref=${view.ref} tabindex=${links ? undefined : "0"} role="region" aria-label=${label}>
    <table aria-rowcount=${sorted.length + 1}>
      <thead><tr aria-rowindex="1" ref=${heads}>${columns.map(head)}</tr></thead>
      <tbody>
        ${view.before > 0 && html`<tr class="space" aria-hidden="true" style=${{ height: `${view.before}px` }}><td colspan=${columns.length}></td></tr>`}
        ${shown.map((row, at) => {
          const key = rowKey(row);
          return html`<tr key=${key} aria-rowindex=${view.first + at + 2} class=${onRow ? "link" : ""} aria-selected=${chosen === undefined ? undefined : String(chosen === key)}
            onClick=${onRow && ((event) => event.target.closest("a") || onRow(row))}>
            ${columns.map((column) => html`<td key=${column.id} class=${column.end ? "end" : ""} title=${column.cell ? undefined : text(column.value(row))}>${column.cell ? column.cell(row) : visible(text(column.value(row)))}</td>`)}
          </tr>`;
        })}
        ${view.after > 0 && html`<tr class="space" aria-hidden="true" style=${{ height: `${view.after}px` }}><td colspan=${columns.length}></td></tr>`}
      </tbody>
    </table>
    ${sorted.length === 0 && html`<p class="empty">${empty}</p>`}
  </div>`;
}

/** A value as the text of a cell. */
export function text(value) {
  if (value == null) return "";
  if (Array.isArray(value) && value.every((one) => typeof one === "string" || typeof one === "number")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
