/**
 * One Tab stop for a list: the arrow keys, Home, End, Page Up and Page Down go through it, and letters to the next item that
 * begins with them (WAI-ARIA Authoring Practices, "roving tabindex" and "type-ahead").
 */
import { useEffect } from "../vendor/preact.js";

/** Items that Page Up and Page Down pass. */
const LEAP = 10;
/** Milliseconds without a key after which letters begin a new word. */
const PAUSE = 700;
/** What a word begins with, and what may also be in it. */
const LETTER = /^[\p{L}\p{N}]$/u;
const WITHIN = /^[ _.-]$/;

const KEYS = {
  vertical: { ArrowDown: 1, ArrowUp: -1, PageDown: LEAP, PageUp: -LEAP },
  horizontal: { ArrowRight: 1, ArrowLeft: -1 },
  both: { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 },
};

/**
 * Have the items of a container share one Tab stop, those that come later too; returns the end of it.
 *
 * @param {Element} container that scrolls, or what is `.scroll` in it: not all items may be in the document
 * @param {object} options items: their selector; way: vertical, horizontal or both; onBefore(): somebody goes up from the first
 */
export function rove(container, { items: selector, way = "vertical", onBefore = null }) {
  const items = () => [...container.querySelectorAll(selector)].filter((item) => !item.disabled);
  let current = null;
  let within = false;
  let typed = { text: "", at: 0 };

  const mark = () => {
    const all = items();
    if (!all.includes(current)) {
      const lost = within && !document.activeElement?.matches(":not(body)");
      current = all.find((item) => item.hasAttribute("aria-current")) ?? all[0] ?? null;
      // What had the focus is gone: the keys stay in the list, which does not move for it.
      if (lost) current?.focus({ preventScroll: true });
    }
    for (const item of all) {
      const index = item === current ? 0 : -1;
      if (item.getAttribute("tabindex") !== String(index)) item.setAttribute("tabindex", index);
    }
  };

  const choose = (item) => {
    current = item;
    mark();
    item?.focus();
    item?.scrollIntoView({ block: "nearest" });
  };

  /** Keys that came before the item that the one before them leads to. */
  let early = null;

  /** Go to the first item or the last one, which come into the document when it is scrolled there. */
  const edge = (last) => {
    const scroller = container.querySelector(".scroll") ?? container;
    scroller.scrollTop = last ? scroller.scrollHeight : 0;
    early = [];
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const keys = early;
        early = null;
        choose(items().at(last ? -1 : 0));
        for (const key of keys) press(key);
      }),
    );
  };

  const typing = () => performance.now() - typed.at < PAUSE;

  const look = (letter, from) => {
    const text = typing() ? typed.text + letter : letter;
    typed = { text, at: performance.now() };
    const all = items();
    const start = text.length > 1 ? from : from + 1;
    const order = [...all.slice(start), ...all.slice(0, start)];
    const found = order.find((item) => item.textContent.trim().toLowerCase().startsWith(text));
    if (found) choose(found);
  };

  /** Whether a key goes through the list. */
  const leads = (key) =>
    key in KEYS[way] || key === "Home" || key === "End" || (way !== "horizontal" && (LETTER.test(key) || (WITHIN.test(key) && typing())));

  /** Go where a key leads to from the current item. */
  const press = (key) => {
    if (early) {
      // One of these leads there from anywhere, and comes again and again while it is held down.
      if (key === "Home" || key === "End") early = [];
      early.push(key);
      return;
    }
    const all = items();
    const at = all.indexOf(current);
    const step = KEYS[way][key];
    if (step && step < 0 && at === 0 && onBefore) onBefore();
    else if (step) choose(all[Math.max(0, Math.min(at + step, all.length - 1))]);
    else if (key === "Home" || key === "End") edge(key === "End");
    else look(key.toLowerCase(), at);
  };

  const pressed = (event) => {
    const item = event.target.closest?.(selector);
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !item || !container.contains(item)) return;
    if (!leads(event.key)) return;
    current = item;
    press(event.key);
    event.preventDefault();
    event.stopPropagation();
  };

  const entered = (event) => {
    within = true;
    const item = event.target.closest?.(selector);
    if (item && item !== current) {
      current = item;
      mark();
    }
  };
  const left = (event) => {
    // Without a next one, what had the focus may have gone from the document.
    if (event.relatedTarget) within = false;
  };

  const observer = new MutationObserver((changes) => {
    const chosen = changes.find((change) => change.type === "attributes" && change.target.hasAttribute("aria-current") && change.target.matches(selector));
    if (chosen && !container.contains(document.activeElement)) current = chosen.target;
    mark();
  });
  observer.observe(container, { childList: true, subtree: true, attributeFilter: ["aria-current", "disabled"] });
  container.addEventListener("keydown", pressed);
  container.addEventListener("focusin", entered);
  container.addEventListener("focusout", left);
  mark();
  return () => {
    observer.disconnect();
    container.removeEventListener("keydown", pressed);
    container.removeEventListener("focusin", entered);
    container.removeEventListener("focusout", left);
  };
}

/** The same for what a ref holds, as long as it is there; see `rove`. */
export function useRoving(ref, options) {
  useEffect(() => (ref.current ? rove(ref.current, options) : undefined), [ref.current]);
}
