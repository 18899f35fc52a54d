/**
 * The sheet on which rows of Lines are drawn: each one is an element of its own, kept as long as it is in sight, so that a
 * selection in it lasts. What was printed becomes text nodes only.
 */
import { plain, plural } from "./text.js";

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export class LogSheet {
  /** `numbered`: the rows are lines of a text, which are counted. */
  constructor(box, numbered) {
    this.numbered = numbered;
    this.drawn = new Map();
    this.columns = 0;
    /** Whether a line that is too long goes on in the next one. */
    this.wrap = false;
    this.element = document.createElement("div");
    this.element.className = "log-sheet";
    box.replaceChildren(this.element);
    this.measure();
  }

  /** Learn the height of a row, which is that of a line of the font. */
  measure() {
    const probe = document.createElement("div");
    probe.className = "log-row log-stdout";
    probe.textContent = "X";
    this.element.append(probe);
    this.height = probe.getBoundingClientRect().height || 19;
    probe.textContent = "X".repeat(100);
    this.character = probe.scrollWidth / 100 || 8;
    probe.remove();
  }

  /** About how many characters of a line the window has room for; the browser has the say. */
  room(times) {
    return Math.max(20, Math.floor((this.element.clientWidth - 52) / this.character) - (times ? 12 : 0));
  }

  /** Have room for so many rows. */
  reserve(count) {
    this.element.style.height = `${count * this.height}px`;
  }

  /** Draw all anew next time. */
  forget() {
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.columns = 0;
    this.element.style.minWidth = "";
  }

  /**
   * Draw some rows, and no others; returns how many lines each of those takes that were drawn anew, by its number.
   *
   * @param {[number, object, number, object|null][]} rows the number of each, the row, its place, and the group it begins
   * @param {object} how times: with the times; needle: what is searched, in lower case; current: the number of the match to be seen
   */
  draw(rows, how) {
    const wanted = new Set(rows.map(([number]) => number));
    for (const [number, element] of this.drawn) {
      if (wanted.has(number)) continue;
      element.remove();
      this.drawn.delete(number);
    }
    let before = null;
    const filled = [];
    for (const [number, row, place, group] of rows) {
      const element = this.#element(number, before);
      if (this.#fill(element, number, row, place, group, how)) filled.push([number, element]);
      before = element;
    }
    return this.wrap ? filled.map(([number, element]) => [number, Math.max(1, Math.round(element.offsetHeight / this.height))]) : [];
  }

  /** The element of a row, behind another: the document's order is the order of reading. */
  #element(number, before) {
    let element = this.drawn.get(number);
    if (!element) {
      element = document.createElement("div");
      this.element.insertBefore(element, before ? before.nextSibling : this.element.firstChild);
      this.drawn.set(number, element);
    }
    return element;
  }

  #fill(element, number, row, place, group, { times, needle, current }) {
    const found = number === current;
    const version = `${place} ${found} ${group ? `${group.folded} ${group.rows}` : ""} ${row.text}`;
    if (element.version === version) return false;
    element.version = version;
    const wrapped = this.wrap ? " log-wrapped" : "";
    element.className = row.gap !== null ? `log-row log-gap${wrapped}` : `log-row log-${row.stream}${found ? " log-found" : ""}${wrapped}`;
    element.style.transform = `translateY(${place * this.height}px)`;
    element.replaceChildren(...this.#parts(number, row, times, needle, group));
    if (!this.wrap && row.text.length > this.columns) {
      // As wide as the widest, so that the colour of a short one does not end in sight.
      this.columns = row.text.length;
      this.element.style.minWidth = `calc(${this.columns}ch + 60px)`;
    }
    return true;
  }

  #parts(number, row, times, needle, group) {
    const parts = [];
    if (times) parts.push(tagged("log-time", row.at ? TIME.format(new Date(row.at)) : ""));
    if (this.numbered) parts.push(tagged("log-number", String(number + 1)));
    else parts.push(tagged("log-mark", row.stream === "stderr" ? "err" : ""));
    if (row.gap !== null) return [...parts, `… ${row.gap.toLocaleString()} bytes are missing here …`];
    if (group) return [...parts, folder(number, group), ...marked(group.title, needle), tagged("log-within", group.folded ? ` ${plural(group.rows, "line")}` : ""), "\n"];
    // The line break is for what is copied by hand.
    return [...parts, ...marked(plain(row.text), needle), row.joined ? "" : "\n"];
  }
}

/** The button that folds a group; which way, its picture says to who sees it. */
function folder(number, group) {
  const button = tagged("log-fold", group.folded ? "▸" : "▾", "button");
  button.type = "button";
  button.dataset.row = number;
  button.setAttribute("aria-expanded", String(!group.folded));
  button.setAttribute("aria-label", `Lines of ${group.title || "the group"}`);
  return button;
}

function marked(text, needle) {
  if (!needle) return [text];
  const low = text.toLowerCase();
  // Lower case may be longer than what it is made of; then nothing can be marked by its place.
  if (low.length !== text.length) return [text];
  const found = [];
  let from = 0;
  for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, from)) {
    found.push(text.slice(from, at), tagged("", text.slice(at, at + needle.length), "mark"));
    from = at + needle.length;
  }
  return [...found, text.slice(from)];
}

function tagged(name, text, tag = "span") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}
