/** Components whose modules come when they are needed; those that were not come after the first, so that no way is long. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { send } from "../lib/api.js";
import { ErrorNotice } from "./basic.js";

const AFTER = 300;
const waiting = [];
let begun = false;

/**
 * @param {() => Promise} load imports the module
 * @param {string} name of the component in it
 */
export function lazy(load, name) {
  let Component = null;
  const fetched = () => load().then((module) => (Component = module[name]));
  waiting.push(fetched);
  if (begun) fetchOthers();
  return function Lazy(props) {
    const [, setState] = useState(0);
    const [error, setError] = useState(null);
    useEffect(() => {
      // It can have come since it was rendered without.
      if (Component) return setState(1);
      // Without a session there are no modules either: whoever signs in again goes on.
      const again = () => send("/static/icon.svg").then(fetched);
      fetched().catch(again).then(() => (setState(1), fetchOthers()), () => setError(new Error("A part of this page cannot be loaded now. Load the page anew.")));
    }, []);
    return Component ? html`<${Component} ...${props} />` : html`<${ErrorNotice} error=${error} />`;
  };
}

function fetchOthers() {
  begun = true;
  const others = waiting.splice(0);
  // What fails here is tried again where it is needed.
  setTimeout(() => others.forEach((fetched) => fetched().catch(() => {})), AFTER);
}
