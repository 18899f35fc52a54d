/** Files to take away. */
import { html } from "../vendor/preact.js";
import { send } from "../lib/api.js";
import { facts } from "../lib/facts.js";
import { Icon } from "./icons.js";
import { toast } from "./toast.js";

/** A link that saves what is at a path; where it takes a header, which links cannot send, by a script. */
export function Download({ path, name, children }) {
  const fetched = async (event) => {
    if (!facts.header_token && !facts.token_storage) return;
    event.preventDefault();
    try {
      const content = await (await send(path, { headers: { Accept: "*/*" } })).blob();
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(content), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      toast(error.message, "bad");
    }
  };
  return html`<a class="button small" href=${facts.root + path} download=${name} onClick=${fetched}><${Icon} name="download" />${children}</a>`;
}
