/** The server's time, and renderings that come with it: what runs is shown for how long. */
import { useEffect, useState } from "../vendor/preact.js";

/** Milliseconds that the server is ahead of this browser; differences that its seconds cannot tell count as none. */
let ahead = 0;

/** Learn the server's time from an answer (a Response). */
export function learn(answer) {
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (Number.isNaN(date)) return answer;
  const difference = date - Date.now();
  ahead = Math.abs(difference) < 2500 ? 0 : difference;
  return answer;
}

/** Seconds from one time to another, both ISO 8601; without the second until now. Null without the first. */
export function seconds(from, to = null) {
  if (!from) return null;
  const end = to ? Date.parse(to) : Date.now() + ahead;
  return Math.max(0, (end - Date.parse(from)) / 1000);
}

/** Render again, every `every` milliseconds, as long as it is wanted. */
export function useTicks(wanted, every = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!wanted) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), every);
    return () => clearInterval(timer);
  }, [wanted, every]);
}

/**
 * Call a function now, and again `every` milliseconds after it has come to its end; not while nobody sees the page.
 * It is given an AbortSignal. Returns the end of it.
 */
export function poll(look, every) {
  const abort = new AbortController();
  let timer = 0;
  let busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (busy || abort.signal.aborted) return;
    busy = true;
    try {
      await look(abort.signal);
    } finally {
      busy = false;
    }
    if (!abort.signal.aborted && !document.hidden) timer = setTimeout(turn, every);
  };
  const seen = () => !document.hidden && turn();
  document.addEventListener("visibilitychange", seen);
  turn();
  return () => {
    abort.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
