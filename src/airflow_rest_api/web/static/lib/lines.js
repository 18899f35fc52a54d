/**
 * What a command or a component has printed, as lines in the order of printing. Pieces come as they were read off the
 * pipe: each stream's unfinished line stays open, where it began, until its end comes.
 */

/** Characters of one row; a longer line goes on in the next row, so that no row is slow to draw. */
const LONGEST_ROW = 2000;
/** Rows and characters that are kept; the oldest go first. Browsers draw nothing higher than about 17 million pixels. */
const MOST_ROWS = 400_000;
const MOST_CHARACTERS = 64_000_000;

export const BOTH = "both";
export const STREAMS = ["stdout", "stderr"];

/**
 * `rows` holds what is kept: `{stream, text, at, gap, joined}`; `gap`: bytes that are missing here; `joined`: goes on in
 * the stream's next row. Rows are counted from the first that ever was, of which `dropped` are no longer kept.
 */
export class Lines {
  constructor({ mostRows = MOST_ROWS, mostCharacters = MOST_CHARACTERS } = {}) {
    this.mostRows = mostRows;
    this.mostCharacters = mostCharacters;
    this.listeners = new Set();
    this.clear();
  }

  clear() {
    this.rows = [];
    this.dropped = 0;
    this.characters = 0;
    this.open = { stdout: null, stderr: null };
    this.ofStream = { stdout: [], stderr: [] };
    this.generation = (this.generation ?? 0) + 1;
    this.tell();
  }

  /** Call back, often, after each change; returns the end of it. */
  watch(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell() {
    for (const listener of this.listeners) listener();
  }

  /** How many rows there ever were. */
  get end() {
    return this.dropped + this.rows.length;
  }

  get empty() {
    return this.end === 0;
  }

  /** Return a row by its number; undefined where it is no longer kept. */
  row(number) {
    return this.rows[number - this.dropped];
  }

  /** Return the numbers of the rows to show; null for all of them. */
  shown(stream) {
    return stream === BOTH ? null : this.ofStream[stream];
  }

  /** Take a piece of output. `at`: when it was printed, ISO 8601. */
  add(stream, text, at = null) {
    if (!text) return;
    let from = 0;
    while (from < text.length) {
      const newline = text.indexOf("\n", from);
      const stop = newline < 0 ? text.length : newline;
      this.#extend(stream, text.slice(from, stop), at);
      if (newline < 0) break;
      this.#close(stream);
      from = newline + 1;
    }
    this.#bound();
    this.tell();
  }

  /** Note that bytes of a stream are missing here. */
  gap(stream, missing) {
    this.#close(stream);
    this.#push({ stream, text: "", at: null, gap: missing, joined: false });
    this.tell();
  }

  /** All that is kept, as text; a stream's or both. */
  text(stream = BOTH) {
    const found = [];
    for (const row of this.rows) {
      if (stream !== BOTH && row.stream !== stream) continue;
      if (row.gap !== null) found.push(`… ${row.gap} bytes are missing here …\n`);
      else found.push(row.text, row.joined ? "" : "\n");
    }
    return found.join("");
  }

  #extend(stream, text, at) {
    let row = this.open[stream] ?? this.#begin(stream, at);
    // What follows a carriage return is written over the line: progress bars. One right before the end is of Windows.
    if (row.text.endsWith("\r") && text) this.#set(row, "");
    const body = text.endsWith("\r") ? text.slice(0, -1) : text;
    const back = body.lastIndexOf("\r");
    if (back >= 0) this.#set(row, "");
    let rest = text.slice(back + 1);
    while (row.text.length + rest.length > LONGEST_ROW) {
      const room = Math.max(LONGEST_ROW - row.text.length, 0);
      this.#set(row, row.text + rest.slice(0, room));
      rest = rest.slice(room);
      row.joined = true;
      row = this.#begin(stream, at);
    }
    this.#set(row, row.text + rest);
  }

  #begin(stream, at) {
    const row = { stream, text: "", at, gap: null, joined: false };
    this.open[stream] = row;
    this.#push(row);
    return row;
  }

  #close(stream) {
    const row = this.open[stream];
    if (row?.text.endsWith("\r")) this.#set(row, row.text.slice(0, -1));
    this.open[stream] = null;
  }

  #set(row, text) {
    this.characters += text.length - row.text.length;
    row.text = text;
  }

  #push(row) {
    this.ofStream[row.stream].push(this.end);
    this.rows.push(row);
  }

  #bound() {
    const { rows } = this;
    if (rows.length <= this.mostRows && this.characters <= this.mostCharacters) return;
    // A tenth more than needed, so that it does not happen at each line.
    const few = this.mostRows * 0.9;
    const short = this.mostCharacters * 0.9;
    let count = 0;
    while (count < rows.length - 1 && (rows.length - count > few || this.characters > short)) {
      this.characters -= rows[count].text.length;
      count += 1;
    }
    this.rows = rows.slice(count);
    this.dropped += count;
    for (const stream of STREAMS) {
      const first = this.ofStream[stream].findIndex((number) => number >= this.dropped);
      this.ofStream[stream] = first < 0 ? [] : this.ofStream[stream].slice(first);
      if (this.open[stream] && !this.rows.includes(this.open[stream])) this.open[stream] = null;
    }
  }
}
