/** DAG files: what lies in the bundles, what was deployed; check, deploy, compare, bring back, delete. */
import { html, useCallback, useEffect, useState } from "../vendor/preact.js";
import { allFiles } from "../lib/dag_files.js";
import { persist, useLoaded } from "../lib/loaded.js";
import { go } from "../lib/router.js";
import { ErrorNotice, Link } from "../parts/basic.js";
import { Icon } from "../parts/icons.js";
import { Panes } from "../parts/panes.js";
import { Deploy } from "./dag-files/deploy.js";
import { Deployments } from "./dag-files/deployments.js";
import { FileDetail } from "./dag-files/file.js";
import { FileList } from "./dag-files/list.js";

/** The files of a bundle: `{files, more, error, look()}`. */
function useFiles(bundle) {
  const [state, setState] = useState({ bundle: null, files: null, more: false, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!bundle) return undefined;
    // What was there stays until all of it has come anew.
    const kept = state.bundle === bundle && state.files;
    const told = (files, more) => (more && kept) || setState({ bundle, files, more, error: null });
    return persist((signal) => allFiles(bundle, signal, told), (error) => setState({ bundle, files: [], more: false, error }));
  }, [bundle, turn]);
  const look = useCallback(() => setTurn((before) => before + 1), []);
  return state.bundle === bundle ? { ...state, look } : { files: null, more: false, error: null, look };
}

export function View({ params }) {
  const [said, error] = useLoaded("/v2/dag-files/bundles");
  const bundles = said?.bundles ?? (error ? [] : null);
  const bundle = params.get("bundle") ?? (bundles?.find((one) => one.writable) ?? bundles?.[0])?.name ?? null;
  const files = useFiles(bundles ? bundle : null);
  const path = params.get("path");
  const shown = params.get("show");
  const file = files.files?.find((one) => one.path === path) ?? (path && files.files ? { bundle, path, size: null, modified_at: null, dag_ids: [], deployed: null, changed_outside: false, unlisted: true } : null);
  const gone = () => {
    files.look();
    go("dag-files", { bundle });
  };
  const main = () => {
    if (error) return html`<${ErrorNotice} error=${error} />`;
    if (path) return file && html`<${FileDetail} key=${`${bundle}:${path}`} file=${file} bundle=${bundles.find((one) => one.name === bundle)} onChange=${files.look} onGone=${gone} />`;
    if (shown === "deployments") return html`<${Deployments} id=${params.get("id")} />`;
    return bundles && html`<${Deploy} key=${bundle} bundles=${bundles} bundle=${bundle} files=${files.files ?? []} folder=${params.get("folder") ?? ""} onDone=${files.look} />`;
  };
  return html`<h1 class="away">DAG files</h1>
    <${Panes} name="dag-files" chosen=${path || shown || error} onBack=${() => go("dag-files", { bundle })} list=${html`<${FileList} bundles=${bundles} bundle=${bundle} files=${files} chosen=${path} shown=${shown} />`}>
      <div class="page">
        <${Link} class="back" view="dag-files" params=${{ bundle }}><${Icon} name="left" />All files<//>
        ${main()}
      </div>
    <//>`;
}
