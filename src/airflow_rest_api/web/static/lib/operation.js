/** One operation, as it goes. */
import { useEffect, useMemo, useReducer } from "../vendor/preact.js";
import { followSeen } from "./following.js";
import { Lines } from "./lines.js";

const UNDER_WAY = new Set(["queued", "running"]);

/** Whether nothing more will happen to an operation. */
export const ended = (operation) => operation != null && !UNDER_WAY.has(operation.state);

/** Return the path of an operation below the plugin. */
export const operationPath = (id, ...rest) => ["/v2/operations", encodeURIComponent(id), ...rest].join("/");

function reduce(state, event) {
  switch (event.type) {
    case "begin":
      return { operation: event.data, steps: [], error: null, complete: false };
    case "state":
      return { ...state, operation: { ...state.operation, ...event.data } };
    case "end":
      return { ...state, operation: { ...state.operation, ...event.data }, complete: true };
    case "progress":
      return { ...state, steps: [...state.steps, event.data] };
    case "error":
      return { ...state, error: event.data };
    default:
      return state;
  }
}

/**
 * Follow an operation.
 *
 * @param {string|null} id of the operation
 * @param {object|null} initial what is known of it already
 * @returns `{operation, lines, steps, error, complete}`: operation: a summary, null until it is known, with `result` at the
 *   end; lines: what it printed; steps: its progress events; error: why it cannot be followed; complete: all of it is here
 */
export function useOperation(id, initial = null) {
  const lines = useMemo(() => new Lines(), [id]);
  const [state, tell] = useReducer(reduce, null, () => ({ operation: initial, steps: [], error: null, complete: false }));
  useEffect(() => {
    tell({ type: "begin", data: initial?.id === id ? initial : null });
    if (!id) return undefined;
    const heard = (event) => {
      if (event.type === "output") lines.add(event.data.stream, event.data.text, event.data.at);
      else if (event.type === "gap") event.data.stream !== "progress" && lines.gap(event.data.stream, event.data.missing);
      else tell(event);
    };
    return followSeen(operationPath(id, "events"), heard, (error) => tell({ type: "error", data: error }));
  }, [id]);
  return { ...state, operation: state.operation?.id === id ? state.operation : null, lines };
}
