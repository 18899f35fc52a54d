/** Rows as CSV (RFC 4180): for spreadsheets, which must not take what DAG authors wrote for a formula of theirs. */

/** What a spreadsheet would calculate: begins like a formula, and is no number, no lone sign and no word such as `@daily`. */
const FORMULA = /^[=\t\r]|^[-+](?!\d*\.?\d+(?:[eE][-+]?\d+)?$)(?!$)|^@(?![a-z]+$)/;

/** A field: a formula gets an apostrophe in front (OWASP, CSV injection); quoted where it has to be. */
function field(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Return a table as text.
 *
 * @param {string[]} names of the columns
 * @param {string[][]} rows the text of each cell
 */
export const csv = (names, rows) => [names, ...rows].map((cells) => `${cells.map(field).join(",")}\r\n`).join("");
