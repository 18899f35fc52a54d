/** The reference as Swagger UI shows it: all requests, to be found and tried out as the user of the session. */
import { dark, headers, load, onTheme, say } from "./document.js";

/** Keep the requests that have all words: Swagger UI's own filter knows tags alone. */
function found(tagged, phrase) {
  const words = phrase.toLowerCase().split(/[\s/]+/).filter(Boolean);
  return tagged
    .map((group, tag) =>
      group.set(
        "operations",
        group.get("operations").filter((one) => {
          const text = [tag, one.get("path"), one.get("method"), one.getIn(["operation", "summary"]), one.getIn(["operation", "operationId"])].join(" ").toLowerCase();
          return words.every((word) => text.includes(word));
        }),
      ),
    )
    .filter((group) => group.get("operations").size);
}

/**
 * A field of a form begins empty where it can be left out, and is left out then: Swagger UI invents a value for each and sends all
 * of them, so that DAG files would be deployed into the bundle "string", whatever is wrong with them.
 */
const FIELDS = {
  JsonSchemaForm: (Field, { React }) => (props) => React.createElement(Field, props.dispatchInitialValue && !props.required ? { ...props, dispatchInitialValue: false } : props),
  ParameterIncludeEmpty: (Box, { React }) => (props) => React.createElement(Box, { ...props, isIncludedOptions: { ...props.isIncludedOptions, defaultValue: false } }),
};

/** What is tried goes out as from the page; with a token of one's own (Authorize) as whom that stands for. */
function sent(request) {
  if (new URL(request.url, location.href).origin !== location.origin) return request;
  const authorized = Object.keys(request.headers).some((name) => name.toLowerCase() === "authorization");
  request.headers = { ...request.headers, ...headers(!authorized) };
  request.credentials = "same-origin";
  return request;
}

const theme = () => document.documentElement.classList.toggle("dark-mode", dark());
theme();
onTheme(theme);

const spec = await load();
if (spec) {
  window.SwaggerUIBundle({
    spec,
    dom_id: "#docs",
    plugins: [() => ({ fn: { opsFilter: found }, wrapComponents: FIELDS })],
    // With everything open, hundreds of forms would have to be made.
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    defaultModelExpandDepth: 2,
    filter: true,
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null,
    requestInterceptor: sent,
    // What it adds is no part of the line for curl: the header token would stand there in clear.
    showMutatedRequest: false,
  });
  new MutationObserver((_, observer) => {
    const filter = document.querySelector(".operation-filter-input");
    if (!filter) return;
    observer.disconnect();
    filter.placeholder = "Search requests: dags list, trigger, POST …";
    filter.setAttribute("aria-label", "Search requests");
    say(null);
  }).observe(document.getElementById("docs"), { childList: true, subtree: true });
}
