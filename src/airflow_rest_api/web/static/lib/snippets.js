/** The same command for a terminal, a program, and the command line of Airflow. Secrets are left out of all of them. */
import { facts } from "./facts.js";
import { hasPassword, isGiven, isHidden, items, sent } from "./arguments.js";
import { quoted, visible } from "./text.js";

const place = (name) => `<${name}>`;

// A file's name as curl reads it: in quotes, or a comma would begin another one.
const curlFile = (name) => `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const hidden = (argument, given) => isHidden(argument, given) || hasPassword(argument, given[argument.name]);

function values(args, given) {
  const json = {};
  const files = {};
  for (const argument of args) {
    const value = given[argument.name];
    const needed = argument.required && argument.type !== "filename";
    if (argument.type === "file") {
      if (value || needed) files[argument.name] = value?.name ?? `${argument.name}.json`;
    } else if (isGiven(argument, value)) {
      json[argument.name] = hidden(argument, given) ? place(argument.name) : sent(argument, value);
    } else if (needed) {
      json[argument.name] = place(argument.name);
    }
  }
  return { json, files };
}

const url = (command) => `${location.origin}${facts.root}/v2/commands/${command.path}`;

/** A line for curl. */
export function curl(command, args, given, queue = "") {
  const { json, files } = values(args, given);
  const parts = [`curl -X POST ${quoted(url(command))}`, `-H "Authorization: Bearer $TOKEN"`];
  if (facts.header_token) parts.push(`-H "${facts.header_token}: $HEADER_TOKEN"`);
  if (queue) parts.push(`-H ${quoted(`Airflow-Queue: ${queue}`)}`);
  if (Object.keys(files).length) {
    for (const [name, value] of Object.entries(json)) for (const one of [value].flat()) parts.push(`--form-string ${quoted(`${name}=${one}`)}`);
    for (const [name, file] of Object.entries(files)) parts.push(`-F ${quoted(`${name}=@${/[,;"\\]/.test(file) ? curlFile(file) : file}`)}`);
  } else if (Object.keys(json).length) {
    parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(json))}`);
  }
  return parts.join(" \\\n  ");
}

/** A few lines of Python. */
export function python(command, args, given, queue = "") {
  const { json, files } = values(args, given);
  const headers = [`"Authorization": f"Bearer {token}"`];
  if (facts.header_token) headers.push(`${literal(facts.header_token)}: header_token`);
  if (queue) headers.push(`"Airflow-Queue": ${literal(queue)}`);
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
  return visible(JSON.stringify(value));
}

/** The command line. */
export function commandLine(command, args, given) {
  const options = [];
  const places = [];
  let greedy = false;
  for (const argument of args) {
    const value = given[argument.name];
    // Here the command writes the file itself, and is not told where by default.
    const written = argument.type === "filename" && !argument.flags.length;
    if (!isGiven(argument, value) && !argument.required && !written) continue;
    if (!isGiven(argument, value) && written) {
      places.push(`${command.path.split("/")[0]}.json`);
      continue;
    }
    const long = argument.flags.find((flag) => flag.startsWith("--")) ?? argument.flags[0];
    if (argument.type === "switch") {
      options.push(value ? long : (argument.negative ?? long));
      continue;
    }
    const words = wordsOf(argument, value, hidden(argument, given));
    if (argument.together) {
      // All that follows the flag is its own, up to the next one.
      options.push([long, ...words.map(quoted)].join(" "));
      greedy = true;
    } else if (argument.flags.length) {
      // `--name=-x` where the value would be taken for an option.
      for (const word of words) options.push(word.startsWith("-") ? `${long}=${quoted(word)}` : `${long} ${quoted(word)}`);
    } else {
      places.push(...words);
    }
  }
  const apart = places.length > 0 && (greedy || places.some((word) => word.startsWith("-")));
  return ["airflow", command.name, ...options, ...(apart ? ["--"] : []), ...places.map(quoted)].join(" ");
}

function wordsOf(argument, value, hidden) {
  if (argument.type === "file") return [value?.name ?? place(argument.name)];
  if (hidden || !isGiven(argument, value)) return [place(argument.name)];
  if (argument.type === "list") return argument.repeatable ? items(value) : [items(value).join(",")];
  return [String(sent(argument, value))];
}
