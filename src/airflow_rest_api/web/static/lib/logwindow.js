/** The part of Lines that is in sight: where it is, whether it follows at the end, what is searched in it. */
import { Finder } from "./finder.js";
import { BOTH } from "./lines.js";
import { LogLayout } from "./loglayout.js";
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
   * `tell` is given `{rows, following, unseen, matches, match, groups, folded}` when one of them has changed. With `numbered` it is a text
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
    this.layout = new LogLayout(lines);
    this.wrap = false;
    /** Whether rows have moved since they were drawn. */
    this.moved = false;
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
    box.addEventListener("click", ({ target }) => this.#fold(target.closest?.(".log-fold")), passive);
    this.sizes = new ResizeObserver(() => {
      this.sheet.measure();
      this.#lay();
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

  /** Show one stream or both, with the times of the lines or without, lines that are too long in one or in several. */
  show(stream, times, wrap) {
    if (stream !== this.stream) {
      this.finder.restrict(stream);
      if (!this.following) this.box.scrollTop = 0;
    }
    this.stream = stream;
    this.times = times;
    this.wrap = wrap;
    this.#lay();
  }

  /** Fold all groups, or unfold them. */
  foldAll(folded) {
    this.layout.foldAll(folded);
    this.#shift();
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
    return this.lines.shown(this.stream)?.length ?? this.lines.rows.length;
  }

  /** Lay out anew: the window, or what it is to show, is another one. */
  #lay() {
    this.sheet.wrap = this.wrap;
    this.layout.change({ stream: this.stream, columns: this.wrap ? this.sheet.room(this.times) : Infinity });
    this.#shift();
  }

  /** Draw anew what has moved; what is in sight stays where it is. */
  #shift() {
    this.moved = true;
    this.#again();
  }

  #fold(button) {
    if (!button) return;
    this.following = false;
    this.layout.fold(Number(button.dataset.row));
    this.#shift();
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
    const { box, layout, sheet } = this;
    layout.update();
    layout.reveal(number);
    // There may be more room than there was.
    sheet.reserve(layout.total);
    const top = layout.place(number) * sheet.height;
    if (top < box.scrollTop || top + sheet.height > box.scrollTop + box.clientHeight) {
      box.scrollTop = Math.max(0, top - box.clientHeight / 3);
    }
  }

  #draw() {
    this.frame = 0;
    const { box, layout, lines, sheet, finder } = this;
    this.#followChanges();
    sheet.reserve(layout.total);
    if (this.following && !this.#selecting()) {
      box.scrollTop = layout.total * sheet.height;
      this.setTop = box.scrollTop;
    }
    if (finder.work()) this.#later();
    if (this.wanted && finder.matches.length) {
      this.wanted = false;
      this.next(0);
    }
    const top = Math.floor(box.scrollTop / sheet.height);
    const last = Math.min(layout.total, Math.ceil((box.scrollTop + box.clientHeight) / sheet.height) + MARGIN);
    const rows = [];
    for (let number = layout.at(Math.max(0, top - MARGIN)); number !== undefined; ) {
      const place = layout.place(number);
      if (place >= last) break;
      rows.push([number, lines.row(number), place, layout.group(number)]);
      number = layout.at(place + layout.size(number));
    }
    const sizes = sheet.draw(rows, { times: this.times, needle: finder.needle, current: finder.current });
    const first = layout.at(top);
    this.anchor = { number: first ?? 0, offset: first === undefined ? 0 : box.scrollTop - layout.place(first) * sheet.height };
    // What the browser made of a line may be more or less than its number of characters says.
    const others = sizes.filter(([number, size]) => layout.resize(number, size));
    if (others.length) {
      this.moved = true;
      this.#later();
    }
    if (this.following) this.seenEnd = lines.end;
    this.#report(this.#count);
  }

  /** The oldest rows go, or others are folded: what is in sight stays where it is. */
  #followChanges() {
    const { layout, lines } = this;
    const moved = layout.update() || this.moved;
    this.moved = false;
    if (lines.generation !== this.generation) {
      this.seenEnd = 0;
      this.sheet.forget();
    } else if (moved && !this.following) {
      this.sheet.reserve(layout.total);
      this.box.scrollTop = layout.place(this.anchor.number) * this.sheet.height + this.anchor.offset;
    }
    this.generation = lines.generation;
  }

  #selecting() {
    const selection = getSelection();
    return !selection.isCollapsed && this.box.contains(selection.anchorNode);
  }

  #report(rows) {
    const { finder, following, layout, lines, told } = this;
    const unseen = following ? 0 : lines.end - this.seenEnd;
    const groups = [...layout.groups.values()];
    const folded = groups.length > 0 && groups.every((group) => group.folded);
    const said = { rows, following, unseen, matches: finder.matches.length, match: finder.index, groups: groups.length, folded };
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
