/** Streams of events that rest while nobody sees the page: a browser has six connections to a server, for all its tabs. */
import { follow } from "./api.js";

/** Milliseconds that a page is out of sight before its stream is left. */
const PATIENCE = 20_000;

/**
 * Follow a stream from its beginning to its end.
 *
 * @param {string} path of server-sent events, whose ids say where to go on
 * @param {(event) => void} onEvent as of `follow`
 * @param {(error) => void} onError it is refused
 * @param {string|null} from the id of the event behind which to begin
 * @returns the end of it
 */
export function followSeen(path, onEvent, onError = () => {}, from = null) {
  let abort = null;
  let after = from;
  let over = false;
  let timer = 0;
  const begin = () => {
    if (abort || over) return;
    const mine = (abort = new AbortController());
    const heard = (event) => {
      if (mine.signal.aborted) return;
      if (event.id !== null) after = event.id;
      if (event.type === "end") over = true;
      onEvent(event);
    };
    follow(path, heard, { signal: mine.signal, after }).catch((error) => {
      over = true;
      onError(error);
    });
  };
  const rest = () => {
    abort?.abort();
    abort = null;
  };
  const seen = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(rest, PATIENCE);
    else begin();
  };
  document.addEventListener("visibilitychange", seen);
  begin();
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
    rest();
  };
}
