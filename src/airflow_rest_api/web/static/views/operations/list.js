/** The list of operations, newest first, which renews itself. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { send } from "../../lib/api.js";
import { learn, poll, useTicks } from "../../lib/clock.js";
import { ended } from "../../lib/operation.js";
import { moment } from "../../lib/text.js";
import { Badge, Button, EffectBadge, ErrorNotice, Link, Loading, StateBadge } from "../../parts/basic.js";
import { commandLine, Elapsed } from "../../parts/operation_panel.js";
import { FilterForm, queryOf } from "./filter.js";
import { OperationTable } from "./table.js";
import { ago, argumentsIn } from "./words.js";

const PAGE = 50;
/** The most that the API gives at once: as much of the list is renewed. */
const MOST = 500;
/** Milliseconds between two looks. */
const EVERY = 2000;

async function page(filter, limit, cursor, signal) {
  const query = queryOf(filter);
  query.set("limit", limit);
  if (cursor) query.set("cursor", cursor);
  return learn(await send(`/v2/operations?${query}`, { signal })).json();
}

/** Operations by a filter: `{operations, next, error, more(), loading}`; `operations` is null before the first answer. */
function useOperations(filter) {
  const key = JSON.stringify(filter);
  const [state, setState] = useState({ key, operations: null, next: null, error: null });
  const [loading, setLoading] = useState(false);
  const held = useRef(state);
  held.current = state;
  useEffect(() => {
    setState((before) => ({ ...before, error: null }));
    return poll(async (signal) => {
      const mine = held.current.key === key ? held.current : { operations: [], next: null };
      const count = Math.min(MOST, Math.max(PAGE, mine.operations?.length ?? 0));
      try {
        const found = await page(filter, count, null, signal);
        setState((before) => renewed(before, key, found));
      } catch (error) {
        if (error.name !== "AbortError") setState((before) => ({ ...before, error }));
      }
    }, EVERY);
  }, [key]);
  const more = async () => {
    setLoading(true);
    try {
      const found = await page(filter, PAGE, state.next);
      setState((before) => (before.key === key ? { ...before, operations: joined(before.operations, found.operations), next: found.next } : before));
    } catch (error) {
      setState((before) => ({ ...before, error }));
    }
    setLoading(false);
  };
  return { ...state, more, loading };
}

/**
 * The newest of a list were asked for again: what is older than those stays, unless something may lie between the two. An
 * empty page that goes on found nothing in what it went through, and leaves the list and the way on as they are.
 */
export function renewed(before, key, found) {
  const last = found.operations.at(-1);
  const known = before.key === key && before.operations ? before.operations : [];
  if (!last && found.next) return { key, operations: known, next: known.length ? before.next : found.next, error: null };
  const overlaps = found.next && known.some((operation) => operation.id >= last.id);
  const older = overlaps ? known.filter((operation) => operation.id < last.id) : [];
  return { key, operations: [...found.operations, ...older], next: older.length ? before.next : found.next, error: null };
}

function joined(operations, others) {
  const known = new Set(operations.map((operation) => operation.id));
  return [...operations, ...others.filter((operation) => !known.has(operation.id))];
}

/** @param {object} props filter; chosen: the id of the operation that is shown beside the list; whole: as a table, with all columns */
export function OperationList({ filter, chosen, whole }) {
  const { operations, next, error, more, loading } = useOperations(filter);
  useTicks(true, 30_000);
  return html`<div class="pane-head"><${FilterForm} filter=${filter} chosen=${chosen} /></div>
    <div class="scroll">
      <${ErrorNotice} error=${error} />
      ${operations === null && !error && html`<${Loading} what="Loading the operations" />`}
      ${operations?.length === 0 && !next && html`<p class="empty">${Object.keys(filter).length ? "No operation is like that." : "Nothing was run yet, or nothing that you may see."}</p>`}
      ${whole
        ? operations?.length > 0 && html`<${OperationTable} operations=${operations} filter=${filter} />`
        : html`<ul class="picks" aria-label="Operations">
            ${operations?.map((operation) => html`<li key=${operation.id}><${Entry} operation=${operation} filter=${filter} chosen=${operation.id === chosen} /></li>`)}
          </ul>`}
      ${next && html`<${Button} small icon="down" busy=${loading} onClick=${more}>Older ones<//>`}
    </div>`;
}

const Entry = ({ operation, filter, chosen }) => html`<${Link} class="pick" view="operations" params=${{ ...filter, id: operation.id }} aria-current=${chosen ? "true" : undefined}>
  <span class="pick-top"><b>${operation.command}</b><${StateBadge} state=${operation.state} /></span>
  <code class="pick-line" title=${commandLine(operation)}>${argumentsIn(operation) || "\u00a0"}</code>
  <span class="pick-facts">
    <time datetime=${operation.created_at} title=${moment(operation.created_at)}>${ago(operation.created_at)}</time>
    <span>${operation.started_at || ended(operation) ? html`<${Elapsed} operation=${operation} />` : "waits"}</span>
    <span class="grow">${operation.user}</span>
    ${operation.endpoint && html`<${Badge} title="It came by the old endpoint ${operation.endpoint}">1.x<//>`}
    ${operation.effect !== "read" && html`<${EffectBadge} effect=${operation.effect} />`}
  </span>
<//>`;
