/** Finds text in Lines, a few milliseconds at a time, also in what is still to come. */
import { BOTH } from "./lines.js";
import { plain } from "./text.js";

/** Milliseconds of a frame that the search may take. */
const SLICE = 6;

/** `matches`: the numbers of the rows that hold what is searched, in their order; `index`: which one is the current one. */
export class Finder {
  constructor(lines) {
    this.lines = lines;
    this.stream = BOTH;
    this.search("");
  }

  search(text) {
    this.needle = text.toLowerCase();
    this.#restart();
  }

  restrict(stream) {
    this.stream = stream;
    this.#restart();
  }

  #restart() {
    this.matches = [];
    this.index = -1;
    this.looked = 0;
    // Rows without the text whose line was not finished yet.
    this.growing = [];
    this.generation = this.lines.generation;
  }

  get current() {
    return this.matches[this.index] ?? null;
  }

  /** Look on; returns whether there is more to look at. */
  work() {
    const { lines, stream } = this;
    if (lines.generation !== this.generation) this.#restart();
    if (!this.needle) return false;
    this.#forgetDropped();
    this.#lookAgain();
    const until = performance.now() + SLICE;
    let number = Math.max(this.looked, lines.dropped);
    for (; number < lines.end; number++) {
      if (number % 256 === 0 && performance.now() > until) break;
      const row = lines.row(number);
      if (stream !== BOTH && row.stream !== stream) continue;
      if (this.#holds(row)) this.matches.push(number);
      else if (lines.open[row.stream] === row) this.growing.push(number);
    }
    this.looked = number;
    return number < lines.end;
  }

  /** Go on by so many matches, around the ends; returns the row's number, null where there is none. */
  step(count) {
    if (!this.matches.length) return null;
    this.index = this.index < 0 ? 0 : (this.index + count + this.matches.length) % this.matches.length;
    return this.current;
  }

  #holds(row) {
    return row.gap === null && plain(row.text).toLowerCase().includes(this.needle);
  }

  #lookAgain() {
    const { lines } = this;
    this.growing = this.growing.filter((number) => {
      const row = lines.row(number);
      if (!row) return false;
      if (!this.#holds(row)) return lines.open[row.stream] === row;
      const place = this.matches.filter((other) => other < number).length;
      this.matches.splice(place, 0, number);
      if (place <= this.index) this.index += 1;
      return false;
    });
  }

  #forgetDropped() {
    const first = this.matches.findIndex((number) => number >= this.lines.dropped);
    if (first <= 0) {
      if (first < 0 && this.matches.length) [this.matches, this.index] = [[], -1];
      return;
    }
    this.matches = this.matches.slice(first);
    this.index = Math.max(this.index - first, 0);
  }
}
