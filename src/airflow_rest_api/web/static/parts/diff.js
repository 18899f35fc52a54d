/** A unified difference, with its lines told apart by more than their colour. */
import { html } from "../vendor/preact.js";
import { plural, visible } from "../lib/text.js";
import { CopyButton } from "./basic.js";

const MOST = 4000;
const KINDS = { "+": "add", "-": "remove", "@": "place", "\\": "note" };

/** @param {object} props text: as of `diff -u`; label; same: what to say where there is no difference */
export function Diff({ text, label, same = "There is no difference." }) {
  if (!text) return html`<p class="empty">${same}</p>`;
  const lines = text.replace(/\n$/, "").split("\n").filter((line, at) => !(at < 2 && /^(---|\+\+\+) /.test(line)));
  const count = (mark) => lines.filter((line) => line[0] === mark).length;
  return html`<figure class="diff" aria-label=${label}>
    <figcaption class="row"><span>${label}</span><span class="grow"></span><span class="added">+${count("+")}</span><span class="removed">−${count("-")}</span><${CopyButton} text=${text} label="Copy the difference" /></figcaption>
    <pre tabindex="0" role="region" aria-label=${label}>${lines.slice(0, MOST).map((line, at) => html`<span key=${at} class="diff-line diff-${KINDS[line[0]] ?? "same"}">${`${visible(line)}\n`}</span>`)}</pre>
    ${lines.length > MOST && html`<p class="hint">${plural(lines.length - MOST, "line")} more: copy the difference to see them.</p>`}
  </figure>`;
}
