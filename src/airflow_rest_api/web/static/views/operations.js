/** Operations: what was run, what runs, and one of them as it goes. */
import { html } from "../vendor/preact.js";
import { useMedia } from "../lib/media.js";
import { go } from "../lib/router.js";
import { Link } from "../parts/basic.js";
import { Icon } from "../parts/icons.js";
import { Panes } from "../parts/panes.js";
import { OperationPanel } from "../parts/operation_panel.js";
import { Result } from "../parts/result.js";
import { toast } from "../parts/toast.js";
import { Report } from "./dag-files/report.js";
import { filterOf } from "./operations/filter.js";
import { OperationList } from "./operations/list.js";

/** Work on DAG files, whose result is a report. */
const REPORTED = new Set(["deploy_dag", "check_dag_files", "rollback_dag_file", "delete_dag_file"]);

const Shown = ({ value, operation }) => (REPORTED.has(operation.command) ? html`<${Report} value=${value} />` : html`<${Result} value=${value} />`);

export function View({ params }) {
  const filter = filterOf(params);
  const chosen = params.get("id");
  const narrow = useMedia("(max-width: 760px)");
  const whole = !chosen && !narrow;
  const again = (operation) => {
    toast("It runs again.", "idle");
    go("operations", { ...filter, id: operation.id });
  };
  return html`<h1 class="away">Operations</h1>
    <${Panes} name="operations" chosen=${chosen} whole=${whole} items="a.pick, .operations-table a" onBack=${() => go("operations", filter)}
      list=${html`<${OperationList} filter=${filter} chosen=${chosen} whole=${whole} />`}>
      <div class="page">
        ${chosen
          ? html`<${Link} class="back" view="operations" params=${filter}><${Icon} name="left" />All operations<//>
            <${OperationPanel} key=${chosen} id=${chosen} onAgain=${again} heading result=${Shown} />`
          : null}
      </div>
    <//>`;
}
