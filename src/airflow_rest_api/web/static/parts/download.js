/** Files to take away. */
import { html, useState } from "../vendor/preact.js";
import { send } from "../lib/api.js";
import { facts } from "../lib/facts.js";
import { ErrorNotice } from "./basic.js";
import { Icon } from "./icons.js";
import { save } from "./logpane.js";

/** A link that saves what is at a path, by a script: a browser asks nobody to sign in again, nor says what is wrong. */
export function Download({ path, name, children }) {
  const [refused, setRefused] = useState(null);
  const fetched = async (event) => {
    event.preventDefault();
    setRefused(null);
    try {
      save(await (await send(path, { headers: { Accept: "*/*" } })).blob(), name);
    } catch (error) {
      setRefused(error);
    }
  };
  return html`<a class="button small" href=${facts.root + path} download=${name} onClick=${fetched}><${Icon} name="download" />${children}</a><${ErrorNotice} error=${refused} />`;
}
