/** Two panes, a list and what was chosen in it, and the way of the keys between them. */
import { html, useEffect, useRef } from "../vendor/preact.js";
import { useRoving } from "../lib/roving.js";

const FIELDS = "form input, form select, form textarea, form button";
/** Milliseconds after which nobody waits any more for what they have chosen. */
const PATIENCE = 15_000;

const visible = (element) => element.checkVisibility({ visibilityProperty: true });

/** Where somebody goes on who has chosen something: in the first field of its form, or else at its heading. */
function beginning(detail) {
  if (detail.querySelector(":scope > .loading, .page > .loading")) return null;
  const field = [...detail.querySelectorAll(FIELDS)].find((one) => !one.disabled && visible(one));
  if (field) return field;
  const heading = detail.querySelector("h2");
  heading?.setAttribute("tabindex", "-1");
  return heading;
}

/** Focus the beginning of what is chosen as soon as it is there, unless the user does something else meanwhile. */
function arrive(detail) {
  const settle = () => {
    const found = beginning(detail);
    if (!found) return;
    end();
    found.focus();
  };
  const observer = new MutationObserver(settle);
  const abort = new AbortController();
  const end = () => {
    observer.disconnect();
    abort.abort();
    clearTimeout(timer);
  };
  const timer = setTimeout(end, PATIENCE);
  for (const event of ["keydown", "pointerdown"]) addEventListener(event, end, { signal: abort.signal, capture: true });
  // What was shown before goes in the next rendering.
  requestAnimationFrame(() => {
    if (abort.signal.aborted) return;
    observer.observe(detail, { childList: true, subtree: true });
    settle();
  });
}

/**
 * @param {object} props
 *   name: class of the view; chosen: whether something is; list: the content of the first pane, children: of the second one
 *   items: selector of what can be chosen in the list; whole: the list takes all of the room until something is chosen
 *   onBack(): leave what is chosen, where the two panes take turns
 */
export function Panes({ name = "", chosen, list, children, items = "a.entry, a.pick", whole = false, onBack }) {
  const first = useRef();
  const second = useRef();
  const back = useRef(null);
  const search = () => first.current.querySelector("input[type=search]");
  const toList = (address) => {
    const all = [...first.current.querySelectorAll(items)];
    const item = all.find((one) => one.getAttribute("href") === address) ?? all.find((one) => one.hasAttribute("aria-current")) ?? all.find((one) => one.tabIndex === 0) ?? search();
    item?.focus();
    item?.scrollIntoView({ block: "nearest" });
  };
  useRoving(first, { items, onBefore: () => search()?.focus() });
  useEffect(() => {
    const address = back.current;
    if (!chosen && address !== null) requestAnimationFrame(() => toList(address));
    back.current = null;
  }, [chosen]);
  const leave = () => {
    back.current = first.current.querySelector(`:is(${items})[aria-current]`)?.getAttribute("href") ?? "";
    onBack();
  };
  // A click without a pointer is one of the Enter key.
  const followed = (event) => event.detail === 0 && event.target.closest("a[href]")?.origin === location.origin && !event.target.closest("a.back, [download]") && arrive(second.current);
  const pressedInList = (event) => {
    // With an input method these keys are about what is being written.
    if (event.isComposing) return;
    const item = event.target.closest(items);
    if (event.key === "Escape" && item && search()) search().focus();
    else if (event.key === "Escape" && item && chosen && onBack) leave();
    else if (event.key === "ArrowDown" && event.target === search()) first.current.querySelector(items)?.focus();
    else if (event.key === "Enter" && event.target === search()) first.current.querySelector(items)?.click();
    else return;
    event.preventDefault();
  };
  const pressed = (event) => {
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented || event.target.closest("dialog")) return;
    // The first one empties a search.
    if (event.target.matches("input[type=search]") && event.target.value) return;
    event.preventDefault();
    if (visible(first.current)) toList(null);
    // The way back leaves the form and what was typed in it: the first one leaves its field alone.
    else if (event.target.matches("input, select, textarea")) second.current.focus();
    else if (onBack) leave();
  };
  const keys = useRef();
  keys.current = pressed;
  useEffect(() => {
    if (!chosen) return undefined;
    // What had the focus can have gone from the document, such as the button that has ended an operation.
    const lost = (event) => event.target === document.body && !document.querySelector("dialog[open]") && keys.current(event);
    addEventListener("keydown", lost);
    return () => removeEventListener("keydown", lost);
  }, [Boolean(chosen)]);
  return html`<div class="panes ${name}${chosen ? " chosen" : whole ? " whole" : ""}" onClickCapture=${followed}>
    <div class="pane-list" ref=${first} onKeyDown=${pressedInList}>${list}</div>
    <div class="pane-detail" ref=${second} tabindex="-1" onKeyDown=${pressed}>${children}</div>
  </div>`;
}
