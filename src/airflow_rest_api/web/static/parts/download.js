/** Files to take away. */
import { html } from "../vendor/preact.js";
import { send } from "../lib/api.js";
import { facts } from "../lib/facts.js";
import { Icon } from "./icons.js";
import { save } from "./logpane.js";
import { toast } from "./toast.js";

/** A link that saves what is at a path, by a script: a browser asks nobody to sign in again, nor says what is wrong. */
export function Download({ path, name, children }) {
  const fetched = async (event) => {
    event.preventDefault();
    try {
      save(await (await send(path, { headers: { Accept: "*/*" } })).blob(), name);
    } catch (error) {
      toast(error.message, "bad");
    }
  };
  return html`<a class="button small" href=${facts.root + path} download=${name} onClick=${fetched}><${Icon} name="download" />${children}</a>`;
}
