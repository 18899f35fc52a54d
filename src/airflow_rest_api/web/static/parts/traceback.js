/** The output of a command that failed with a traceback: its sentence says why, so that this opens on demand. */
import { html, useState } from "../vendor/preact.js";
import { plural } from "../lib/text.js";

const BEGIN = "Traceback (most recent call last):";

/** Whether Python printed where an exception came from. */
export const hasTraceback = (lines) => lines.rows.some((row) => row.gap === null && row.text.includes(BEGIN));

/** @param {object} props lines: those of the operation; children: a function, called when it is open */
export function Traceback({ lines, children }) {
  const [open, setOpen] = useState(false);
  return html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>Traceback <span class="muted">(${plural(lines.rows.length, "line")} of output)</span></summary>
    ${open && children()}
  </details>`;
}
