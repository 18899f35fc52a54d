/** Text that is there as a whole, to be read and copied. */
import { html } from "../vendor/preact.js";
import { visible } from "../lib/text.js";
import { CopyButton } from "./basic.js";

/** @param {object} props text; label: what it is, for those who do not see it; tall: as it is, without breaking lines */
export const Code = ({ text, label, tall = false }) => html`<div class="code${tall ? " tall" : ""}"><pre tabindex="0" role="region" aria-label=${label}>${visible(text)}</pre><${CopyButton} text=${text} label="Copy" /></div>`;
