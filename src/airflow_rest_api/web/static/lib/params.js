/**
 * The params of a DAG as a form sees them: from what Airflow says of them to fields, and from fields to the configuration
 * of a run. Which field a param gets follows Airflow's own form (FieldSelector of its UI, 3.3).
 */
import { iso, isInexact, local, TOO_LARGE } from "./arguments.js";
import { visible } from "./text.js";

/** The arguments that hold the configuration of a run of the DAG in `dag_id`. */
export const CONF = new Set(["conf", "dag_run_conf"]);

/** Those that hold values of a DAG's params, of which some can be secrets. */
export const OF_PARAMS = new Set([...CONF, "task_params"]);

const CHOOSABLE = new Set(["null", "string", "number", "integer"]);
const BY_FORMAT = { "date-time": "datetime", date: "date", time: "time", multiline: "long", password: "password" };

/**
 * @param {object} params of a DAG, as `GET /api/v2/dags/{dag_id}/details` has them: `{value, schema, description}` by name
 * @returns {object[]} `{name, label, hint, section, kind, types, required, integer, choices, labels, initial, schema}`;
 *   kind: text, long, password, number, switch, choice, several, lines, datetime, date, time, json, any
 */
export function fieldsOf(params) {
  const described = Object.entries(params ?? {}).filter(([, param]) => param && typeof param === "object" && param.schema);
  return described.filter(([, param]) => param.schema.const === undefined).map(([name, param]) => fieldOf(name, param));
}

const listed = (value) => (Array.isArray(value) ? value : undefined);

function fieldOf(name, { value = null, schema: written, description }) {
  // Airflow looks at what the author of a DAG wrote there when a run is made, and not before.
  const schema = { ...written, enum: listed(written.enum), examples: listed(written.examples) };
  const types = [schema.type ?? []].flat();
  const kind = kindOf(schema, types, value);
  return {
    name,
    label: visible(String(schema.title ?? name)),
    hint: visible(String(description ?? schema.description_md ?? "")),
    section: visible(String(schema.section ?? "")),
    kind,
    types,
    required: types.length > 0 && !types.includes("null"),
    integer: types.includes("integer") && !types.includes("number"),
    choices: schema.enum ?? schema.examples ?? null,
    // Without what every object has: a value may have such a name.
    labels: Object.assign(Object.create(null), schema.values_display),
    initial: value,
    schema,
  };
}

function kindOf(schema, types, value) {
  const real = types.filter((one) => one !== "null");
  if (real.length > 1 && !schema.enum && !schema.examples) return "any";
  const type = types.length ? (real[0] ?? "string") : Array.isArray(value) ? "array" : value === null ? "string" : typeof value;
  if (type === "boolean") return "switch";
  if (type === "object") return "json";
  if (type === "array") {
    if (schema.examples || schema.enum) return "several";
    return [undefined, "string"].includes(schema.items?.type) && plainList(value) ? "lines" : "json";
  }
  if (CHOOSABLE.has(type) && schema.enum) return "choice";
  if (type === "number" || type === "integer") return "number";
  return BY_FORMAT[schema.format] ?? "text";
}

// Without a word on its items, a list of numbers or objects would become one of texts.
const plainList = (value) => !Array.isArray(value) || value.every((one) => typeof one === "string");

/** A value as its field shows it. */
export function shown(field, value) {
  if (value === null || value === undefined) return "";
  if (field.kind === "datetime") return local(String(value));
  if (field.kind === "lines") return [value].flat().join("\n");
  if (field.kind === "json" || typeof value === "object") return JSON.stringify(value, null, 2);
  return String(value);
}

/**
 * What was typed as a value.
 *
 * @returns `{value}`, or `{error}`: why it is none
 */
export function read(field, typed) {
  if (field.kind === "switch" || field.kind === "several") return { value: typed };
  const text = String(typed);
  if (text === "") return { value: null };
  if (field.kind === "datetime") return { value: iso(text) };
  if (field.kind === "choice") return { value: field.choices.find((one) => String(one) === text) ?? text };
  if (field.kind === "lines") return { value: text.split("\n").filter((line, at, all) => line || at < all.length - 1) };
  if (field.kind === "number") {
    const number = Number(text);
    if (!Number.isFinite(number)) return { error: "This is not a number." };
    if (isInexact(text)) return { error: TOO_LARGE };
    return { value: number };
  }
  if (field.kind === "json" || field.kind === "any") {
    try {
      const value = JSON.parse(text);
      if (hasInexact(text)) return { error: TOO_LARGE };
      if (fits(value, field.types)) return { value };
      if (!field.types.includes("string")) return { error: `This has to be of the type ${field.types.join(" or ")}.` };
    } catch (error) {
      if (!field.types.includes("string")) return { error: `This is not JSON: ${error.message}` };
    }
  }
  return { value: text };
}

function fits(value, types) {
  const type = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  return !types.length || types.includes(type) || (type === "number" && types.includes("integer") && Number.isInteger(value));
}

/** What Airflow will say against a value, in a sentence; nothing where that is nothing, or for Airflow alone to say. */
export function fault(field, value) {
  const { schema } = field;
  if (value === null || value === undefined) return field.required ? "This is needed." : null;
  if (field.types.length && !fits(value, field.types)) return field.integer ? "This has to be a whole number." : `This has to be of the type ${field.types.join(" or ")}.`;
  if (typeof value === "number") {
    if (value < schema.minimum) return `The least is ${schema.minimum}.`;
    if (value > schema.maximum) return `The most is ${schema.maximum}.`;
    if (value <= schema.exclusiveMinimum) return `This has to be more than ${schema.exclusiveMinimum}.`;
    if (value >= schema.exclusiveMaximum) return `This has to be less than ${schema.exclusiveMaximum}.`;
  }
  if (typeof value === "string") {
    if ([...value].length < schema.minLength) return `This has to have ${schema.minLength} characters at least.`;
    if ([...value].length > schema.maxLength) return `This may have ${schema.maxLength} characters at most.`;
  }
  if (schema.enum && !Array.isArray(value) && !schema.enum.includes(value)) return `One of ${schema.enum.join(", ")}.`;
  return null;
}

/** Whether a text of JSON has a whole number in it that would not come out of a script as it was. */
export const hasInexact = (text) => (text?.replace(/"(?:[^"\\]|\\.)*"/g, "").match(/-?\d[\d.eE+-]*/g) ?? []).some(isInexact);

/** The configuration that a text is; null where it is none: no JSON, or no object. */
export function parsed(text) {
  if (!text?.trim()) return {};
  try {
    const conf = JSON.parse(text);
    return conf && typeof conf === "object" && !Array.isArray(conf) ? conf : null;
  } catch {
    return null;
  }
}

/** The value of a param: that of the configuration, or its own. */
export const valueOf = (field, conf) => (Object.hasOwn(conf, field.name) ? conf[field.name] : field.initial);

/** The text of a configuration with another value for a param; what is the param's own value need not be in it. */
export function withValue(conf, field, value) {
  const next = { ...conf, [field.name]: value };
  if (JSON.stringify(value) === JSON.stringify(field.initial)) delete next[field.name];
  return Object.keys(next).length ? JSON.stringify(next, null, 2) : "";
}
