/** The same command for a terminal, a program, and the command line of Airflow. Secrets are left out of all of them. */
import { facts } from "./facts.js";
import { isGiven, isHidden, items, sent } from "./arguments.js";
import { quoted } from "./text.js";

const place = (name) => `<${name}>`;

function values(args, given) {
  const json = {};
  const files = {};
  for (const argument of args) {
    const value = given[argument.name];
    const needed = argument.required && argument.type !== "filename";
    if (argument.type === "file") {
      if (value || needed) files[argument.name] = value?.name ?? `${argument.name}.json`;
    } else if (isGiven(argument, value)) {
      json[argument.name] = isHidden(argument, given) ? place(argument.name) : sent(argument, value);
    } else if (needed) {
      json[argument.name] = place(argument.name);
    }
  }
  return { json, files };
}

const url = (command) => `${location.origin}${facts.root}/v2/commands/${command.path}`;

/** A line for curl. */
export function curl(command, args, given) {
  const { json, files } = values(args, given);
  const parts = [`curl -X POST ${quoted(url(command))}`, `-H "Authorization: Bearer $TOKEN"`];
  if (facts.header_token) parts.push(`-H "${facts.header_token}: $HEADER_TOKEN"`);
  if (Object.keys(files).length) {
    for (const [name, value] of Object.entries(json)) for (const one of [value].flat()) parts.push(`-F ${quoted(`${name}=${one}`)}`);
    for (const [name, file] of Object.entries(files)) parts.push(`-F ${quoted(`${name}=@${file}`)}`);
  } else if (Object.keys(json).length) {
    parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(json))}`);
  }
  return parts.join(" \\\n  ");
}

/** A few lines of Python. */
export function python(command, args, given) {
  const { json, files } = values(args, given);
  const headers = [`"Authorization": f"Bearer {token}"`];
  if (facts.header_token) headers.push(`${literal(facts.header_token)}: header_token`);
  const parts = [`    ${literal(url(command))},`, `    headers={${headers.join(", ")}},`];
  if (Object.keys(files).length) {
    if (Object.keys(json).length) parts.push(`    data=${literal(json, 4)},`);
    const opened = Object.entries(files).map(([name, file]) => `${literal(name)}: open(${literal(file)}, "rb")`);
    parts.push(`    files={${opened.join(", ")}},`);
  } else if (Object.keys(json).length) {
    parts.push(`    json=${literal(json, 4)},`);
  }
  parts.push("    timeout=60,");
  return `import httpx\n\nanswer = httpx.post(\n${parts.join("\n")}\n)\nanswer.raise_for_status()\noperation = answer.json()\nprint(operation["state"], operation["stdout"])`;
}

/** A literal of Python's. */
function literal(value, indent = 0) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "object" && !Array.isArray(value)) {
    const pad = " ".repeat(indent + 4);
    const entries = Object.entries(value).map(([name, one]) => `${pad}${literal(name)}: ${literal(one, indent + 4)},`);
    return `{\n${entries.join("\n")}\n${" ".repeat(indent)}}`;
  }
  if (Array.isArray(value)) return `[${value.map((one) => literal(one)).join(", ")}]`;
  // What JSON escapes, Python reads the same.
  return JSON.stringify(value);
}

/** The command line. */
export function commandLine(command, args, given) {
  const options = [];
  const places = [];
  for (const argument of args) {
    const value = given[argument.name];
    const needed = argument.required && argument.type !== "filename";
    if (!isGiven(argument, value) && !needed) continue;
    const long = argument.flags.find((flag) => flag.startsWith("--")) ?? argument.flags[0];
    if (argument.type === "switch") {
      options.push(value ? long : (argument.negative ?? long));
      continue;
    }
    const words = wordsOf(argument, value, isHidden(argument, given));
    if (argument.flags.length) {
      // `--name=-x` where the value would be taken for an option.
      for (const word of words) options.push(word.startsWith("-") ? `${long}=${quoted(word)}` : `${long} ${quoted(word)}`);
    } else {
      places.push(...words.map(quoted));
    }
  }
  return ["airflow", command.name, ...options, ...(places.some((word) => word.startsWith("-")) ? ["--"] : []), ...places].join(" ");
}

function wordsOf(argument, value, hidden) {
  if (argument.type === "file") return [value?.name ?? place(argument.name)];
  if (hidden || !isGiven(argument, value)) return [place(argument.name)];
  if (argument.type === "list") return argument.repeatable ? items(value) : [items(value).join(",")];
  return [String(sent(argument, value))];
}
