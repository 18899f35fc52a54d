import { html } from "../vendor/preact.js";

// Drawn on 24 by 24, with lines.
const PATHS = {
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 5 5",
  play: "M7 4.5v15l12-7.5Z",
  stop: "M6 6h12v12H6Z",
  copy: "M9 9h11v11H9Zm-4 6H4V4h11v1",
  check: "m5 12.5 4.5 4.5L19 7",
  cross: "m6 6 12 12M18 6 6 18",
  lock: "M6 11h12v9H6Zm2.5 0V8a3.5 3.5 0 0 1 7 0v3",
  file: "M6 3h8l4 4v14H6Zm8 0v4h4",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 20h14",
  upload: "M12 16V5M7.5 9.5 12 5l4.5 4.5M5 20h14",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5",
  down: "m6 9 6 6 6-6",
  up: "m6 15 6-6 6 6",
  right: "m9 6 6 6-6 6",
  left: "m15 6-6 6 6 6",
  refresh: "M19.5 9A8 8 0 0 0 5 8M4.500 4v4.500h4.500M4.500 15A8 8 0 0 0 19 16M19.500 20v-4.500H15",
  warning: "M12 4 2.800 20h18.400ZM12 10v5m0 2.500v.1",
  external: "M14 4h6v6m0-6-9 9M18 14v6H4V6h6",
  trash: "M4 7h16M9 7V4h6v3M6.500 7l1 13h9l1-13M10 11v5m4-5v5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-14v5l3.500 2",
};

/** A picture that says nothing by itself: what it stands for is text beside it, or the label of its button. */
export const Icon = ({ name, size = 16 }) => html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" fill="none"
  stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
