/** Names for fields, from Airflow's own API as the user may see them. */
import { airflow as ask } from "./api.js";

const some = 25;
const airflow = (path) => ask(path, { patient: false });
const like = (text) => encodeURIComponent(`%${text.replace(/[%_~]/g, "")}%`);

const dags = async (text) => (await airflow(`/dags?limit=${some}&order_by=dag_id&dag_id_pattern=${like(text)}`)).dags.map((one) => one.dag_id);

async function tasks(text, values) {
  if (!values.dag_id) return [];
  const found = await airflow(`/dags/${encodeURIComponent(values.dag_id)}/tasks`);
  return found.tasks.map((one) => one.task_id).filter((id) => id.includes(text)).slice(0, some);
}

async function runs(text, values) {
  if (!values.dag_id) return [];
  const found = await airflow(`/dags/${encodeURIComponent(values.dag_id)}/dagRuns?limit=${some}&order_by=-run_after`);
  return found.dag_runs.map((one) => one.dag_run_id).filter((id) => id.includes(text));
}

const pools = async (text) => (await airflow(`/pools?limit=${some}&pool_name_pattern=${like(text)}`)).pools.map((one) => one.name);
const connections = async (text) => (await airflow(`/connections?limit=${some}&connection_id_pattern=${like(text)}`)).connections.map((one) => one.connection_id);
const variables = async (text) => (await airflow(`/variables?limit=${some}&variable_key_pattern=${like(text)}`)).variables.map((one) => one.key);

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
