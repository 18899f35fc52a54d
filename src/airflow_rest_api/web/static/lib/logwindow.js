/** The part of Lines that is in sight: where it is, whether it follows at the end, what is searched in it. */
import { Finder } from "./finder.js";
import { BOTH } from "./lines.js";
import { LogSheet } from "./logsheet.js";

/** Rows above and below the sight that are drawn as well. */
const MARGIN = 15;
/** Milliseconds after scrolling back in which being near the end does not count as being at it. */
const HELD = 400;
/** Milliseconds between two reports of how many rows there are: numbers that nobody could read need no rendering. */
const TOLD = 150;
const UP = new Set(["ArrowUp", "PageUp", "Home"]);

export class LogWindow {
  /**
   * `tell` is given `{rows, following, unseen, matches, match}` when one of them has changed. With `numbered` it is a text
   * whose lines are counted, and that is read from its beginning.
   */
  constructor(box, lines, tell, numbered = false) {
    this.box = box;
    this.lines = lines;
    this.tell = tell;
    this.numbered = numbered;
    this.stream = BOTH;
    this.times = false;
    this.following = !numbered;
    this.heldUntil = 0;
    this.setTop = 0;
    this.seenEnd = 0;
    this.anchor = { number: 0, offset: 0 };
    this.generation = lines.generation;
    this.dropped = lines.dropped;
    this.finder = new Finder(lines);
    this.wanted = false;
    this.told = { text: "", at: -Infinity, following: this.following, timer: 0 };
    this.frame = 0;
    this.sheet = new LogSheet(box, numbered);
    this.#listen();
    this.#later();
  }

  #listen() {
    const { box } = this;
    this.abort = new AbortController();
    const passive = { signal: this.abort.signal, passive: true };
    box.addEventListener("scroll", () => this.#scrolled(), passive);
    box.addEventListener("wheel", ({ deltaY }) => (deltaY < 0 ? this.#hold() : deltaY > 0 && (this.heldUntil = 0)), passive);
    box.addEventListener("touchmove", () => this.#hold(), passive);
    box.addEventListener("keydown", ({ key }) => (UP.has(key) ? this.#hold() : key === "End" && this.follow()), passive);
    this.unwatch = this.lines.watch(() => this.#later());
    this.sizes = new ResizeObserver(() => {
      this.sheet.measure();
      this.#again();
    });
    this.sizes.observe(box);
  }

  end() {
    this.abort.abort();
    this.unwatch();
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.told.timer);
    this.box.replaceChildren();
  }

  /** Show one stream or both, with the times of the lines or without. */
  show(stream, times) {
    if (stream !== this.stream) {
      this.finder.restrict(stream);
      if (!this.following) this.box.scrollTop = 0;
    }
    this.stream = stream;
    this.times = times;
    this.#again();
  }

  /** Go to the end, and stay there. */
  follow() {
    this.following = !this.numbered;
    this.heldUntil = 0;
    this.#later();
  }

  search(text) {
    this.finder.search(text);
    this.wanted = text !== "";
    this.#again();
  }

  /** Go to the next match, or with -1 to the one before. */
  next(step) {
    const number = this.finder.step(step);
    if (number !== null) this.#reveal(number);
    this.#again();
  }

  get #count() {
    const shown = this.lines.shown(this.stream);
    return shown ? shown.length : this.lines.rows.length;
  }

  /** The number of the row at a place. */
  #number(place) {
    const shown = this.lines.shown(this.stream);
    return shown ? shown[place] : this.lines.dropped + place;
  }

  /** The place of a row, or of the next one that is shown. */
  #place(number) {
    const shown = this.lines.shown(this.stream);
    if (!shown) return Math.max(0, number - this.lines.dropped);
    let low = 0;
    let high = shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (shown[middle] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #later() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #again() {
    this.sheet.forget();
    this.#later();
  }

  #hold() {
    this.heldUntil = performance.now() + HELD;
    if (this.box.scrollHeight > this.box.clientHeight) this.following = false;
    this.#later();
  }

  #scrolled() {
    const { box } = this;
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - this.sheet.height;
    if (!atEnd) {
      // The end also moves away when the box becomes smaller; nobody scrolled back then.
      if (box.scrollTop < this.setTop - 1) this.following = false;
    } else if (performance.now() <= this.heldUntil) setTimeout(() => this.#scrolled(), HELD);
    else this.following = !this.numbered;
    this.#later();
  }

  #reveal(number) {
    this.following = false;
    this.heldUntil = performance.now() + HELD;
    const { box, sheet } = this;
    const top = this.#place(number) * sheet.height;
    if (top < box.scrollTop || top + sheet.height > box.scrollTop + box.clientHeight) {
      box.scrollTop = Math.max(0, top - box.clientHeight / 3);
    }
  }

  #draw() {
    this.frame = 0;
    const { box, lines, sheet, finder } = this;
    this.#followDrops();
    const count = this.#count;
    sheet.reserve(count);
    if (this.following && !this.#selecting()) {
      box.scrollTop = count * sheet.height;
      this.setTop = box.scrollTop;
    }
    if (finder.work()) this.#later();
    if (this.wanted && finder.matches.length) {
      this.wanted = false;
      this.next(0);
    }
    const top = Math.floor(box.scrollTop / sheet.height);
    const last = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / sheet.height) + MARGIN);
    const rows = [];
    for (let place = Math.max(0, top - MARGIN); place < last; place++) {
      const number = this.#number(place);
      rows.push([number, lines.row(number), place]);
    }
    sheet.draw(rows, { times: this.times, needle: finder.needle, current: finder.current });
    this.anchor = { number: this.#number(top) ?? 0, offset: box.scrollTop - top * sheet.height };
    if (this.following) this.seenEnd = lines.end;
    this.#report(count);
  }

  /** The oldest rows go: what is in sight stays where it is. */
  #followDrops() {
    const { lines } = this;
    if (lines.generation !== this.generation) {
      this.seenEnd = 0;
      this.sheet.forget();
    } else if (lines.dropped !== this.dropped && !this.following) {
      const { number, offset } = this.anchor;
      this.box.scrollTop = this.#place(number) * this.sheet.height + offset;
    }
    this.generation = lines.generation;
    this.dropped = lines.dropped;
  }

  #selecting() {
    const selection = getSelection();
    return !selection.isCollapsed && this.box.contains(selection.anchorNode);
  }

  #report(rows) {
    const { finder, following, lines, told } = this;
    const unseen = following ? 0 : lines.end - this.seenEnd;
    const said = { rows, following, unseen, matches: finder.matches.length, match: finder.index };
    const text = JSON.stringify(said);
    clearTimeout(told.timer);
    if (text === told.text) return;
    const tell = () => {
      Object.assign(told, { text, at: performance.now(), following });
      this.tell(said);
    };
    const wait = told.at + TOLD - performance.now();
    if (wait > 0 && following === told.following) told.timer = setTimeout(tell, wait);
    else tell();
  }
}
