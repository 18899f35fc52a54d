/** What a view begins with: asked for until the server has it. */
import { useEffect, useState } from "../vendor/preact.js";
import { call, comesBack } from "./api.js";
import { poll } from "./clock.js";

/** Milliseconds from one attempt to the next. */
const EVERY = 2000;

/**
 * Ask once; a server that is away or busy is asked again, one that refuses is not. Returns the end of it.
 *
 * @param {(signal: AbortSignal) => Promise} ask takes what is answered
 * @param {(error: Error) => void} onError of each attempt
 */
export function persist(ask, onError) {
  let stop = () => {};
  const failed = (error) => {
    if (error.name === "AbortError") return;
    onError(error);
    if (!comesBack(error)) stop();
  };
  stop = poll((signal) => ask(signal).then(() => stop(), failed), EVERY);
  return stop;
}

/** What is at a path, such as `/v2/commands`: `[found, error]`, both null before the first answer. Without a path nothing is asked for. */
export function useLoaded(path) {
  const [state, setState] = useState({ path, found: null, error: null });
  useEffect(() => {
    if (!path) return undefined;
    const ask = (signal) => call(path, { signal }).then((found) => setState({ path, found, error: null }));
    return persist(ask, (error) => setState({ path, found: null, error }));
  }, [path]);
  return state.path === path ? [state.found, state.error] : [null, null];
}
