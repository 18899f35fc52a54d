/** What a component writes, as it comes. */
import { useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { followSeen } from "../../lib/following.js";
import { Lines } from "../../lib/lines.js";
import { hasEnded } from "./list.js";

/** Lines of each stream to begin with. */
const TAIL = 1000;

/** @returns `{lines, error}`: the last lines, and those that come */
export function useServiceLog(service) {
  const lines = useMemo(() => new Lines(), [service.id]);
  const after = useRef(null);
  const [error, setError] = useState(null);
  const ended = hasEnded(service);
  useEffect(() => {
    // A component that is started again goes on in the same files.
    const heard = ({ type, data, id }) => {
      if (id !== null) after.current = id;
      if (type === "output") lines.add(data.stream, data.text);
      else if (type === "gap") lines.gap(data.stream, data.missing);
    };
    setError(null);
    return followSeen(`/v2/services/${encodeURIComponent(service.id)}/log/events?tail=${TAIL}`, heard, setError, after.current);
  }, [service.id, ended]);
  return { lines, error };
}
