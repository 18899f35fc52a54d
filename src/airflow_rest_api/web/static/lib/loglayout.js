/**
 * Which rows of Lines are shown, and how many lines of the window each one takes: the way from a row to its place and back,
 * in a logarithmic number of steps however many rows there are. Lines of `::group::` are folded, as in Airflow's own view of
 * a task's log.
 */
import { BOTH, STREAMS } from "./lines.js";
import { plain } from "./text.js";

const BEGIN = "::group::";
const END = "::endgroup::";
/** What nobody wants to be folded before they have seen it. */
const TROUBLE = /\b(?:error|critical|exception|traceback|failed)\b/i;

/** What a line that begins a group calls it: up to where Airflow's log names its writer. */
function titleOf(text) {
  const title = text.slice(text.indexOf(BEGIN) + BEGIN.length);
  const writer = title.indexOf("  [");
  return (writer < 0 ? title : title.slice(0, writer)).trim();
}

export class LogLayout {
  constructor(lines) {
    this.lines = lines;
    this.stream = BOTH;
    /** Characters in a line of the window; infinite where lines are not wrapped. */
    this.columns = Infinity;
    /** What somebody has chosen, by the number of the row that begins a group: whether it is folded. */
    this.chosen = new Map();
    this.#restart();
  }

  #restart() {
    const { lines } = this;
    this.dropped = lines.dropped;
    this.generation = lines.generation;
    this.count = 0;
    this.sizes = new Int32Array(1024);
    /** Fenwick's tree over the sizes. */
    this.sums = new Int32Array(1025);
    this.total = 0;
    this.groups = new Map();
    /** Of each row in a group, by its number: the group. */
    this.members = new Map();
    this.within = Object.fromEntries(STREAMS.map((stream) => [stream, null]));
    this.growing = new Set();
  }

  /** Forget what is laid out: something else is shown, or otherwise. */
  change({ stream = this.stream, columns = this.columns }) {
    Object.assign(this, { stream, columns });
    this.#restart();
  }

  /** Take what has come since; returns whether what was laid out before has moved. */
  update() {
    const { lines } = this;
    const anew = lines.generation !== this.generation || lines.dropped !== this.dropped;
    if (lines.generation !== this.generation) this.chosen.clear();
    if (anew) this.#restart();
    for (const index of this.growing) {
      // The next rows of its stream come after its end, and are not here yet.
      if (!this.#isOpen(index)) {
        this.growing.delete(index);
        this.#takeMark(this.#row(index), this.dropped + index);
      }
      this.#set(index, this.#sizeOf(index));
    }
    for (; this.count < lines.rows.length; this.count += 1) this.#append(this.count);
    return anew;
  }

  /** The number of the row at a place; undefined behind the last one. */
  at(place) {
    if (place >= this.total) return undefined;
    let index = 0;
    let left = place;
    for (let step = 1 << Math.floor(Math.log2(this.count || 1)); step > 0; step >>= 1) {
      if (index + step <= this.count && this.sums[index + step] <= left) {
        index += step;
        left -= this.sums[index];
      }
    }
    return this.dropped + index;
  }

  /** The place of a row, or of the next one that is shown. */
  place(number) {
    let sum = 0;
    for (let index = Math.max(0, Math.min(number - this.dropped, this.count)); index > 0; index -= index & -index) sum += this.sums[index];
    return sum;
  }

  /** The lines that a row takes. */
  size(number) {
    return this.sizes[number - this.dropped];
  }

  /** Have a row take as many lines as it was found to; returns whether that is another number. */
  resize(number, size) {
    const index = number - this.dropped;
    if (index < 0 || index >= this.count || !this.sizes[index] || this.sizes[index] === size) return false;
    this.#set(index, size);
    return true;
  }

  /** The group that begins with a row: `{title, rows, ended, folded}`. */
  group(number) {
    return this.groups.get(number) ?? null;
  }

  /** Fold a group, or unfold it. */
  fold(number, folded = !this.groups.get(number)?.folded) {
    const group = this.groups.get(number);
    if (!group) return;
    this.chosen.set(number, folded);
    this.#show(group, folded);
  }

  /** Fold all groups, or unfold them. */
  foldAll(folded) {
    for (const number of this.groups.keys()) this.fold(number, folded);
  }

  /** Unfold what hides a row. */
  reveal(number) {
    const group = this.members.get(number);
    if (group?.folded) this.fold(group.number, false);
  }

  #row(index) {
    return this.lines.rows[index];
  }

  #isOpen(index) {
    const row = this.#row(index);
    return this.lines.open[row.stream] === row;
  }

  #sizeOf(index) {
    const row = this.#row(index);
    const number = this.dropped + index;
    if (this.stream !== BOTH && row.stream !== this.stream) return 0;
    const group = this.members.get(number);
    if (group && (group.folded || number === group.end)) return 0;
    return Math.max(1, Math.ceil(plain(row.text).length / this.columns));
  }

  #append(index) {
    const row = this.#row(index);
    const open = this.#isOpen(index);
    if (index + 1 >= this.sums.length) this.#grow();
    if (!open) this.#takeMark(row, this.dropped + index);
    else this.growing.add(index);
    // A node of the tree holds the sum of those below it, which are all known.
    let sum = 0;
    for (let low = 1, node = index + 1; low < (node & -node); low <<= 1) sum += this.sums[node - low];
    this.sums[index + 1] = sum;
    this.#add(index, this.#sizeOf(index), index + 1);
  }

  /** Have a row begin a group, belong to one, or end it. */
  #takeMark(row, number) {
    const marks = row.gap === null && row.text.includes("::");
    const current = this.within[row.stream];
    if (marks && row.text.includes(BEGIN)) {
      const group = { number, title: titleOf(plain(row.text)), rows: 0, end: null, ended: false, folded: this.chosen.get(number) === true, trouble: false };
      this.groups.set(number, group);
      this.within[row.stream] = group;
    } else if (current) {
      this.members.set(number, current);
      if (marks && row.text.includes(END)) this.#end(current, number);
      else {
        current.rows += 1;
        current.trouble ||= TROUBLE.test(row.text);
      }
    }
  }

  #end(group, number) {
    Object.assign(group, { end: number, ended: true });
    this.within[this.lines.row(number).stream] = null;
    const folded = this.chosen.get(group.number) ?? !group.trouble;
    if (folded !== group.folded) this.#show(group, folded);
  }

  /** The rows of a group are of one stream; those of the other may be between them. */
  #show(group, folded) {
    group.folded = folded;
    const last = group.end ?? this.dropped + this.count - 1;
    for (let number = group.number + 1; number <= last; number += 1) {
      if (this.members.get(number) === group && number - this.dropped < this.count) this.#set(number - this.dropped, this.#sizeOf(number - this.dropped));
    }
  }

  #set(index, size) {
    this.#add(index, size - this.sizes[index], this.count);
  }

  #add(index, more, count) {
    if (!more) return;
    this.sizes[index] += more;
    this.total += more;
    for (let node = index + 1; node <= count; node += node & -node) this.sums[node] += more;
  }

  #grow() {
    const [sizes, sums] = [this.sizes, this.sums];
    this.sizes = new Int32Array(sizes.length * 2);
    this.sizes.set(sizes);
    this.sums = new Int32Array(sizes.length * 2 + 1);
    this.sums.set(sums);
  }
}
