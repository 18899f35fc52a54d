/**
 * The sheet on which rows of Lines are drawn: each one is an element of its own, kept as long as it is in sight, so that a
 * selection in it lasts. What was printed becomes text nodes only.
 */
import { plain } from "./text.js";

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export class LogSheet {
  /** `numbered`: the rows are lines of a text, which are counted. */
  constructor(box, numbered) {
    this.numbered = numbered;
    this.drawn = new Map();
    this.columns = 0;
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
    probe.remove();
  }

  /** Have room for so many rows. */
  reserve(count) {
    this.element.style.height = `${count * this.height}px`;
  }

  /** Draw all anew next time. */
  forget() {
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
  }

  /**
   * Draw some rows, and no others.
   *
   * @param {[number, object, number][]} rows the number of each, the row, and its place
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
    for (const [number, row, place] of rows) {
      const element = this.#element(number, before);
      this.#fill(element, number, row, place, how);
      before = element;
    }
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

  #fill(element, number, row, place, { times, needle, current }) {
    const found = number === current;
    const version = `${place} ${found} ${row.text}`;
    if (element.version === version) return;
    element.version = version;
    element.className = row.gap !== null ? "log-row log-gap" : `log-row log-${row.stream}${found ? " log-found" : ""}`;
    element.style.transform = `translateY(${place * this.height}px)`;
    element.replaceChildren(...this.#parts(number, row, times, needle));
    if (row.text.length > this.columns) {
      // As wide as the widest, so that the colour of a short one does not end in sight.
      this.columns = row.text.length;
      this.element.style.minWidth = `calc(${this.columns}ch + 60px)`;
    }
  }

  #parts(number, row, times, needle) {
    const parts = [];
    if (times) parts.push(tagged("log-time", row.at ? TIME.format(new Date(row.at)) : ""));
    if (this.numbered) parts.push(tagged("log-number", String(number + 1)));
    else parts.push(tagged("log-mark", row.stream === "stderr" ? "err" : ""));
    if (row.gap !== null) return [...parts, `… ${row.gap.toLocaleString()} bytes are missing here …`];
    // The line break is for what is copied by hand.
    return [...parts, ...marked(plain(row.text), needle), row.joined ? "" : "\n"];
  }
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
