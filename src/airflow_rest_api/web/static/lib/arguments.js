/** The arguments of a command as a form sees them: from JSON Schema to fields, from what was typed to a request. */
import { suggester } from "./suggest.js";

// Text that is JSON to the command, though its parser takes it as any text.
const JSON_NAMES = new Set(["conf", "dag_run_conf", "task_params", "conn_extra", "conn_json", "env_vars"]);

// Text that may have several lines.
const LONG_NAMES = new Set(["value"]);

// Seldom of use here: how the command prints is the page's business, and paths on the server are for administrators.
const ASIDE = new Set(["verbose", "output", "color", "yes", "daemon", "pid", "stdout", "stderr", "log_file", "debug", "dev"]);

/**
 * @param {object} summary of the command, from the list
 * @param {object} detail of the command
 * @returns {object[]} `{name, type, required, repeatable, choices, default, secret, file, help, flags, negative, aside}`;
 *   together: its values follow one flag; empty: a text of no characters is a value of it;
 *   type: text, long, number, switch, choice, datetime, json, list, file, filename
 */
export function argumentsOf(summary, detail) {
  const kinds = new Map(summary.arguments.map((one) => [one.name, one]));
  const required = new Set(detail.arguments.required ?? []);
  const group = (summary.name ?? summary.command ?? "").split(" ")[0];
  return Object.entries(detail.arguments.properties).map(([name, schema]) => {
    const kind = kinds.get(name) ?? { type: "string", repeatable: false, file: null };
    const inner = schema.type === "array" && schema.items ? schema.items : schema;
    const type = typeOf(name, kind, inner);
    return {
      name,
      type,
      integer: kind.type === "integer",
      required: required.has(name),
      repeatable: kind.repeatable,
      together: Boolean(schema["x-together"]),
      choices: inner.enum ?? null,
      default: schema["x-default"] ?? null,
      secret: Boolean(schema.writeOnly),
      // A name of something is never empty, and a secret that is was more likely forgotten.
      empty: required.has(name) && ["text", "long"].includes(type) && !schema.writeOnly && !suggester(group, name),
      file: kind.file,
      help: kind.help ?? schema.description ?? "",
      flags: schema["x-flags"] ?? [],
      negative: schema["x-negative"] ?? null,
      aside: !required.has(name) && (ASIDE.has(name) || /path on the server/.test(schema.description ?? "")),
    };
  });
}

function typeOf(name, kind, schema) {
  if (kind.file === "in") return "file";
  if (kind.file === "out") return "filename";
  if (schema.enum) return kind.repeatable ? "list" : "choice";
  if (kind.repeatable || kind.type === "list") return "list";
  if (kind.type === "boolean" || schema.type === "boolean") return "switch";
  if (kind.type === "integer" || kind.type === "number") return "number";
  if (kind.type === "datetime") return "datetime";
  if (kind.type === "json" || JSON_NAMES.has(name)) return "json";
  return LONG_NAMES.has(name) ? "long" : "text";
}

/** Whether an argument has a value that is worth sending; a text that may be empty has one once somebody was in its field. */
export function isGiven(argument, value) {
  if (argument.type === "switch") return value !== undefined && value !== Boolean(argument.default);
  if (argument.type === "file") return value instanceof File;
  if (argument.type === "number") return String(value ?? "").trim() !== "";
  return value !== undefined && (value !== "" || argument.empty);
}

/** The items of a list as typed, one on each line. */
export const items = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** Whether a text is a whole number that a script does not have exactly: it would become another one. */
export const isInexact = (text) => /^\s*[+-]?\d+\s*$/.test(text) && !Number.isSafeInteger(Number(text));

export const TOO_LARGE = "This number is too large for this field.";

/** What is wrong with a value, in a sentence; nothing where it is right. */
export function fault(argument, value) {
  const given = isGiven(argument, value);
  if (!given) return argument.required && argument.type !== "filename" ? "This is needed." : null;
  if (argument.type === "number") {
    if (!Number.isFinite(Number(value))) return "This is not a number.";
    if (argument.integer && !Number.isInteger(Number(value))) return "This has to be a whole number.";
    if (isInexact(value)) return TOO_LARGE;
  }
  if (argument.type === "json") {
    try {
      JSON.parse(value);
    } catch (error) {
      return `This is not JSON: ${error.message}`;
    }
  }
  return null;
}

/** A value as the request has it. */
export function sent(argument, value) {
  if (argument.type === "number") return Number(value);
  if (argument.type === "list") return items(value);
  if (argument.type === "datetime") return iso(value);
  return value;
}

/** The arguments that are given, by name: for the body of the request. Files are apart. */
export function body(args, values) {
  const json = {};
  const files = {};
  for (const argument of args) {
    const value = values[argument.name];
    if (!isGiven(argument, value)) continue;
    if (argument.type === "file") files[argument.name] = value;
    else json[argument.name] = sent(argument, value);
  }
  return { json, files };
}

/** The same as multipart/form-data. */
export function form({ json, files }) {
  const made = new FormData();
  for (const [name, value] of Object.entries(json)) {
    for (const one of Array.isArray(value) ? value : [value]) made.append(name, String(one));
  }
  for (const [name, file] of Object.entries(files)) made.append(name, file, file.name);
  return made;
}

// What Airflow takes for the name of a secret, and a little more.
const SENSITIVE = /pass|secret|token|key|cred|auth|private/i;

/** Whether the value of an argument is not for other eyes: a secret, or a variable that is called like one. */
export const isHidden = (argument, values) => argument.secret || (argument.type === "long" && (SENSITIVE.test(values.key ?? "") || looksSecret(values.key ?? "")));

/** Entries of the address without those for which there is no room: many servers and proxies take 8 kB of it. */
export function bounded(entries) {
  let room = 4000;
  return entries.filter(([, text]) => {
    const left = room - encodeURIComponent(text).length;
    if (left < 0) return false;
    room = left;
    return true;
  });
}

/**
 * Values as entries of the address; secrets and files are never among them, nor what is too long for a link. The value of
 * a variable is never there either: it may be typed before the name that makes it a secret.
 */
export function toAddress(args, values) {
  const entries = [];
  for (const argument of args) {
    const value = values[argument.name];
    if (argument.secret || ["file", "long"].includes(argument.type) || !isGiven(argument, value) || looksSecret(value)) continue;
    entries.push([`a.${argument.name}`, String(value)]);
  }
  return bounded(entries);
}

// What the server, and Airflow's masker unless it is told of more, take for the name of a secret (secret_names.py).
const SECRET =
  /auth.?header|authorization|bearer|connection.?string|credential|dsn"|jwt|keyfile.?dict|passphrase|passw(or)?d|prox(y|ies)"|secret|service.?account|token|webhook.?url|(access|api|fernet|private|service).?key/i;

/** Whether a value, such as a JSON object with a password in it, must not get into an address: these end up in logs. */
export const looksSecret = (value) => SECRET.test(String(value)) || PASSWORD.test(String(value));

// As in scheme://user:password@host.
const PASSWORD = /:\/\/[^/?#:\s]*:[^/?#\s]+@/;

/** Whether a value holds a password that must not be copied, though the argument as such is no secret. */
export const hasPassword = (argument, value) => PASSWORD.test(String(value ?? "")) || (isJson(argument, value ?? "") && looksSecret(value));

/** Whether a value is JSON: the text of a variable can be. */
const isJson = ({ type }, value) => type === "json" || (type === "long" && /^\s*[[{]/.test(value));

/** Values from the address, but for a choice that is none: its field would show another one. */
export function fromAddress(args, params) {
  const values = {};
  for (const argument of args) {
    const text = params.get(`a.${argument.name}`);
    if (text === null || argument.secret || ["file", "long"].includes(argument.type)) continue;
    if (argument.type === "choice" && !argument.choices.some((one) => String(one) === text)) continue;
    values[argument.name] = argument.type === "switch" ? text === "true" : argument.type === "datetime" ? local(text) : text;
  }
  return values;
}

// The picker knows no zones: what it shows and what it gives is UTC.
/** A date of a picker for the server. */
export const iso = (value) => (/T\d\d:\d\d$/.test(value) ? `${value}:00+00:00` : `${value}+00:00`);

/** A date of the server's for a picker; nothing where it is none. */
export function local(text) {
  if (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?$/.test(text)) return text.includes("T") ? text : `${text}T00:00`;
  const date = new Date(text);
  return Number.isNaN(date.valueOf()) ? "" : date.toISOString().slice(0, 19);
}
