/** The shell: the head with the views' names, the view that is chosen, and what lies over it. */
import { html, render, useEffect, useRef } from "./vendor/preact.js";
import { facts, framed } from "./lib/facts.js";
import { pressOnce } from "./lib/once.js";
import { link, useRoute } from "./lib/router.js";
import { CopyButton, Link } from "./parts/basic.js";
import { Questions } from "./parts/dialog.js";
import { Icon } from "./parts/icons.js";
import { lazy } from "./parts/lazy.js";
import { SessionOverlay } from "./parts/session.js";
import { Toasts } from "./parts/toast.js";

// `id`: what the address calls it; `View` gets the parameters of the address, and how often the user went back or forward; `there`: whether there is anything to show.
const VIEWS = [
  { id: "commands", title: "Commands", View: lazy(() => import("./views/commands.js"), "View") },
  { id: "operations", title: "Operations", View: lazy(() => import("./views/operations.js"), "View") },
  { id: "runners", title: "Runners", View: lazy(() => import("./views/runners.js"), "View"), there: facts.queues.length > 0 },
  { id: "services", title: "Services", View: lazy(() => import("./views/services.js"), "View") },
  { id: "dag-files", title: "DAG files", View: lazy(() => import("./views/dag-files.js"), "View") },
  { id: "endpoints", title: "Old endpoints", View: lazy(() => import("./views/endpoints.js"), "View") },
].filter((one) => one.there ?? true);

function Shell() {
  const route = useRoute();
  const view = VIEWS.find((one) => one.id === route.view) ?? VIEWS[0];
  const main = useRef();
  const first = useRef(true);
  useEffect(() => {
    document.title = `${view.title} - REST API - Airflow`;
    // Who moves on with the keyboard goes on in what has come.
    if (!first.current) main.current.focus({ preventScroll: true });
    first.current = false;
  }, [view]);
  const skip = (event) => {
    event.preventDefault();
    // To what is chosen, behind the list of what there is to choose; on a narrow window they take turns.
    const detail = main.current.querySelector(".pane-detail");
    (detail?.checkVisibility() ? detail : main.current).focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="head">
      ${!framed && html`<a class="brand" href="${facts.airflow}/" title="Back to Airflow"><${Icon} name="left" size="18" /><span>Airflow</span></a>`}
      <nav aria-label="Views"><ul>${VIEWS.map((one) => html`<li key=${one.id}><${Link} view=${one.id} aria-current=${one === view ? "page" : undefined}>${one.title}<//></li>`)}</ul></nav>
      <span class="grow"></span>
      <div class="about">
        <span class="user" title="You are signed in as ${facts.user}">${facts.user}</span>
        <${CopyButton} text=${link} icon="link" label="Copy a link to this place" />
        <a class="button quiet small" href="docs" target=${framed ? undefined : "_blank"} rel="noopener">Reference</a>
      </div>
    </header>
    <main ref=${main} id="main" tabindex="-1" class="view view-${view.id}"><${view.View} key=${view.id} params=${route.params} turns=${route.turns} /></main>
    <${Toasts} /><${Questions} /><${SessionOverlay} />`;
}

pressOnce();
// What is dropped beside its field would take the place of the page, and all that was typed with it.
const dropped = (event) => {
  if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
};
for (const kind of ["dragover", "drop"]) addEventListener(kind, dropped);
render(html`<${Shell} />`, document.getElementById("app"));
