/** The operations as a table, which has the window to itself until one of them is chosen. */
import { html } from "../../vendor/preact.js";
import { useMedia } from "../../lib/media.js";
import { ended } from "../../lib/operation.js";
import { go } from "../../lib/router.js";
import { moment } from "../../lib/text.js";
import { Badge, EffectBadge, Link, StateBadge } from "../../parts/basic.js";
import { commandLine, Elapsed } from "../../parts/operation_panel.js";
import { Table } from "../../parts/table.js";
import { ago, argumentsIn } from "./words.js";

/** Columns for which a window of less than a thousand pixels has no room. */
const WIDE = new Set(["user", "took"]);

const columnsOf = (filter) => [
  {
    id: "command",
    label: "Command",
    width: "21%",
    value: (operation) => operation.command,
    cell: (operation) => html`<${Link} view="operations" params=${{ ...filter, id: operation.id }} title=${commandLine(operation)}>${operation.command}<//>`,
  },
  { id: "arguments", label: "Arguments", value: argumentsIn, cell: (operation) => html`<code title=${commandLine(operation)}>${argumentsIn(operation)}</code>` },
  { id: "state", label: "State", width: "134px", value: (operation) => operation.state, cell: (operation) => html`<${StateBadge} state=${operation.state} />` },
  {
    id: "effect",
    label: "Effect",
    width: "112px",
    value: (operation) => operation.effect,
    cell: (operation) => html`<${EffectBadge} effect=${operation.effect} />`,
  },
  {
    id: "user",
    label: "User",
    width: "130px",
    value: (operation) => operation.user,
    cell: (operation) => html`<span title=${operation.user}>${operation.user}</span>${operation.endpoint && html` <${Badge} title="It came by the old endpoint ${operation.endpoint}">1.x<//>`}`,
  },
  {
    id: "asked",
    label: "Asked",
    width: "128px",
    value: (operation) => operation.created_at,
    cell: (operation) => html`<time datetime=${operation.created_at} title=${moment(operation.created_at)}>${ago(operation.created_at)}</time>`,
  },
  {
    id: "took",
    label: "Took",
    width: "96px",
    end: true,
    value: (operation) => operation.finished_at,
    cell: (operation) => (operation.started_at || ended(operation) ? html`<${Elapsed} operation=${operation} />` : "waits"),
  },
];

/** @param {object} props operations, the newest first; filter: that is kept on the way to one of them */
export function OperationTable({ operations, filter }) {
  const narrow = useMedia("(max-width: 1000px)");
  const columns = columnsOf(filter)
    .filter((column) => !narrow || !WIDE.has(column.id))
    .map((column) => ({ ...column, sortable: false }));
  return html`<div class="operations-table"><${Table} columns=${columns} rows=${operations} rowKey=${(operation) => operation.id} label="Operations" links
    onRow=${(operation) => go("operations", { ...filter, id: operation.id })} /></div>`;
}
