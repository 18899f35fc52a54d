/** Why somebody may not run something, and what to write where the configuration is in the way. */
import { html } from "../vendor/preact.js";
import { Notice } from "./basic.js";
import { Code } from "./code.js";

/** @param {object} props refusal: as the API tells it, `{reason, message, option, setting}` */
export const RefusalNotice = ({ refusal }) => html`<${Notice} tone=${refusal.setting ? "warn" : "bad"}>
  ${refusal.message}
  ${refusal.setting && html`<${Code} label="Setting" text=${`[rest_api_plugin]\n${refusal.setting}`} />`}
<//>`;
