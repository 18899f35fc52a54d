/** Small things about text and time. */

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time of the API's (ISO 8601) for people, in their own zone. */
export const moment = (iso) => (iso ? MOMENT.format(new Date(iso)) : "");

/** Seconds for people: `0.42 s`, `12 s`, `3 min 5 s`, `2 h 1 min`. */
export function duration(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return "";
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Bytes for people. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < 2) [value, unit] = [value / 1000, unit + 1];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// What turns the order of the signs around it: with it, a text reads as another one than it is (CVE-2021-42574).
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

/** Text in which nothing hides: an escape stands for what would turn the rest of the line around. */
export const visible = (text) => text.replace(TURNING, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`);

// What a terminal obeys while it is pasted, and what cannot be seen there.
const CONTROL = new RegExp(`[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f]|${TURNING.source}`);

const octal = (sign) => (sign === "'" || sign === "\\" ? `\\${sign}` : Array.from(new TextEncoder().encode(sign), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join(""));

/** A word for a shell: POSIX, of 2024 where it holds control characters. */
export function quoted(word) {
  if (CONTROL.test(word)) return `$'${word.replace(new RegExp(`['\\\\]|${CONTROL.source}`, "g"), octal)}'`;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** One of two words by a number: `plural(1, "command")`. */
export const plural = (count, one, more = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : more}`;

// CSI sequences and the like: colours, which the page does not show.
const ANSI = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g;

/** Text as it is shown: without the escape sequences of a terminal, and nothing hides in it. */
export const plain = (text) => visible(text.includes("\u001b") ? text.replace(ANSI, "") : text);

/** Put text on the clipboard, also where the page is not served over TLS; return whether it is there. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "away";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    return done;
  }
}
