/** The reference as ReDoc shows it: to be read, and searched by every word in it. */
import { dark, load, onTheme, say } from "./document.js";

const DARK = {
  colors: {
    primary: { main: "#9db8ea" },
    text: { primary: "#eef1f6", secondary: "#b3bdcc" },
    border: { dark: "#3a455a", light: "#2c3546" },
    http: { get: "#6fd3a0", post: "#9db8ea", delete: "#f19a93" },
    responses: {
      success: { color: "#6fd3a0", backgroundColor: "#17352a", tabTextColor: "#6fd3a0" },
      error: { color: "#f19a93", backgroundColor: "#3f1f22", tabTextColor: "#f19a93" },
    },
  },
  schema: { nestedBackground: "#151c2b", typeNameColor: "#b3bdcc", typeTitleColor: "#b3bdcc", linesColor: "#4a5670" },
  sidebar: { backgroundColor: "#151c2b", textColor: "#dfe5ee", activeTextColor: "#ffffff" },
  rightPanel: { backgroundColor: "#121826", textColor: "#eef1f6" },
  codeBlock: { backgroundColor: "#0d1320" },
  typography: { code: { color: "#f0a7a0", backgroundColor: "#151c2b" }, links: { color: "#9db8ea" } },
};

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const TYPE = { fontFamily: FONT, headings: { fontFamily: FONT }, fontSize: "15px", code: { fontFamily: "ui-monospace, monospace" } };

function options() {
  const theme = dark() ? DARK : { typography: {} };
  return {
    theme: { ...theme, typography: { ...TYPE, ...theme.typography, code: { ...TYPE.code, ...theme.typography.code } } },
    hideDownloadButton: true,
    nativeScrollbars: true,
    scrollYOffset: () => document.querySelector(".reference").offsetHeight,
    minCharacterLengthToInitSearch: 2,
    // A hundred answers open at once are none that can be read.
    expandResponses: "200",
    jsonSampleExpandLevel: 2,
    // Samples are made of every answer, before anybody looks at one.
    generatedSamplesMaxDepth: 3,
  };
}

const spec = await load();
const place = document.getElementById("docs");
if (spec) {
  new MutationObserver((_, observer) => {
    observer.disconnect();
    say(null);
  }).observe(place, { childList: true });
  window.Redoc.init(spec, options(), place, (error) => error && say(`The reference cannot be shown: ${error.message}`));
  // Its colours are in its style sheets.
  onTheme(() => location.reload());
}
