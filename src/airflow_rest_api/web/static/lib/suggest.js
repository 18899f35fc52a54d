/** Names for fields, from Airflow's own API as the user may see them. */
import { airflow as ask } from "./api.js";

/** Names that are shown, those that are asked for at once (the most that Airflow gives), and how often. */
const SHOWN = 25;
const PAGE = 100;
const PAGES = 4;

const airflow = (path) => ask(path, { patient: false });

/**
 * A text as a pattern of Airflow's, which is one of SQL's LIKE (airflow.api_fastapi.common.parameters, _SearchParam): it has
 * no escape that all databases know, "|" parts alternatives, and SQLite folds the case of ASCII alone. What of the text is
 * not simply itself stands for any one character; `holds` then has the say.
 */
const pattern = (text) => encodeURIComponent(text.replace(/[^ -~]|[%_~|\\]/gu, "_"));

const holds = (name, text) => name.toLowerCase().includes(text.toLowerCase());

/** Ask for names that hold a text. `path`: with a query that ends with the pattern; `list`: where they are; `name`: of each. */
async function named(path, text, list, name) {
  const found = [];
  for (let page = 0; page < PAGES; page += 1) {
    const said = await airflow(`${path}${pattern(text)}&limit=${PAGE}&offset=${page * PAGE}`);
    found.push(...said[list].map((one) => one[name]).filter((one) => holds(one, text)));
    // The others fit the pattern and not the text.
    if (found.length >= SHOWN || said[list].length === 0 || (page + 1) * PAGE >= said.total_entries) break;
  }
  return found.slice(0, SHOWN);
}

const dags = (text) => named("/dags?order_by=dag_id&dag_id_pattern=", text, "dags", "dag_id");
const pools = (text) => named("/pools?pool_name_pattern=", text, "pools", "name");
const connections = (text) => named("/connections?connection_id_pattern=", text, "connections", "connection_id");
const variables = (text) => named("/variables?variable_key_pattern=", text, "variables", "key");

async function tasks(text, values) {
  if (!values.dag_id) return [];
  const found = await airflow(`/dags/${encodeURIComponent(values.dag_id)}/tasks`);
  return found.tasks.map((one) => one.task_id).filter((id) => holds(id, text)).slice(0, SHOWN);
}

const runs = (text, values) => (values.dag_id ? named(`/dags/${encodeURIComponent(values.dag_id)}/dagRuns?order_by=-run_after&run_id_pattern=`, text, "dag_runs", "dag_run_id") : []);

// By the name of the argument, whichever command has it.
const BY_NAME = {
  dag_id: dags,
  task_id: tasks,
  run_id: runs,
  dag_run_id: runs,
  logical_date_or_run_id: runs,
  execution_date: runs,
  execution_date_or_run_id: runs,
  pool: pools,
  pool_name: pools,
  conn_id: connections,
};

// In one group of commands alone.
const BY_GROUP = { "variables key": variables, "pools name": pools };

/**
 * Return who knows names for an argument, or nothing.
 *
 * @param {string} group the first word of the command
 * @param {string} name of the argument
 * @returns {((text: string, values: object) => Promise<string[]>) | undefined} values: what the form has in it
 */
export const suggester = (group, name) => BY_GROUP[`${group} ${name}`] ?? BY_NAME[name];
