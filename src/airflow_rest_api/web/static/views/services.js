/** Services: which components run, where and since when; start them, stop them, read what they write. */
import { html, useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { send } from "../lib/api.js";
import { learn, poll } from "../lib/clock.js";
import { useLoaded } from "../lib/loaded.js";
import { go } from "../lib/router.js";
import { Empty, ErrorNotice, Link } from "../parts/basic.js";
import { Icon } from "../parts/icons.js";
import { Panes } from "../parts/panes.js";
import { ServiceDetail } from "./services/detail.js";
import { ServiceList } from "./services/list.js";
import { StartDialog } from "./services/start.js";

/** Milliseconds between two looks. */
const EVERY = 2000;

/** The components: `{services, error, look()}`; `services` is null before the first answer. */
function useServices() {
  const [state, setState] = useState({ services: null, error: null });
  const look = useCallback(async (signal) => {
    try {
      const found = await learn(await send("/v2/services", { signal })).json();
      setState({ services: found.services, error: null });
    } catch (error) {
      if (error.name !== "AbortError") setState((before) => ({ ...before, error }));
    }
  }, []);
  const stop = useRef(null);
  useEffect(() => (stop.current = poll(look, EVERY)), []);
  // What will be refused again is not asked for again.
  useEffect(() => state.error?.status === 403 && stop.current(), [state.error]);
  return { ...state, look };
}

export function View({ params }) {
  const { services, error, look } = useServices();
  // Why they are not known, the list of the components says.
  const kinds = useLoaded("/v2/services/kinds")[0]?.kinds ?? null;
  const [starting, setStarting] = useState(false);
  const chosen = params.get("id");
  const titles = Object.fromEntries((kinds ?? []).map((kind) => [kind.kind, kind.title]));
  const service = services?.find((one) => one.id === chosen) ?? null;
  const started = (made) => {
    setStarting(false);
    look();
    // Of one that no runner has taken yet there is the operation alone.
    go("kind" in made ? "services" : "operations", { id: made.id });
  };
  return html`<h1 class="away">Services</h1>
    <${Panes} name="services" chosen=${chosen} onBack=${() => go("services")} list=${html`<${ServiceList} services=${services} error=${error} titles=${titles} chosen=${chosen} mayStart=${kinds?.some((kind) => kind.allowed)} onStart=${() => setStarting(true)} />`}>
      <div class="page">
        ${chosen && html`<${Link} class="back" view="services"><${Icon} name="left" />All services<//>`}
        ${chosen && html`<${ErrorNotice} error=${error} />`}
        ${detail(chosen, service, services, titles, look, error)}
      </div>
    <//>
    ${starting && html`<${StartDialog} kinds=${kinds} onClose=${() => setStarting(false)} onStarted=${started} />`}`;
}

function detail(chosen, service, services, titles, look, error) {
  if (service) return html`<${ServiceDetail} key=${service.id} service=${service} title=${titles[service.kind] ?? service.kind} onChange=${look} />`;
  if (chosen && services) return html`<${ErrorNotice} error=${{ message: "There is no such component, or none any more." }} />`;
  return !chosen && !error && html`<${Empty}>Choose a component to see how it is and what it writes.<//>`;
}
