/** The same command from a terminal, a program, and Airflow's own command line. */
import { html, useState } from "../vendor/preact.js";
import { commandLine, curl, python } from "../lib/snippets.js";
import { Tabs } from "../parts/basic.js";
import { Code } from "../parts/code.js";

export function Elsewhere({ command, args, values, queue }) {
  const [tab, setTab] = useState("curl");
  const tabs = [
    ["curl", "curl", curl],
    ["python", "Python", python],
    ["airflow", "Command line", commandLine],
  ].map(([id, label, make]) => ({ id, label, content: () => html`<${Code} label=${label} text=${make(command, args, values, queue)} />` }));
  return html`<section class="elsewhere" aria-label="The same from elsewhere">
    <h3>The same from elsewhere</h3>
    <${Tabs} tabs=${tabs} chosen=${tab} onChoose=${setTab} label="The same from elsewhere" />
  </section>`;
}
