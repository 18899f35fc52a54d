/** A DAG run in Airflow, as it goes: from Airflow's own API, as its user may see it. */
import { useEffect, useState } from "../vendor/preact.js";
import { airflow } from "./api.js";
import { poll } from "./clock.js";

/** Milliseconds between two looks; after so many of them, it is only each fifth turn. */
const EVERY = 2000;
const OFTEN = 150;

/** Task instances that are counted, and those that are named. */
const COUNTED = 100;
const NAMED = 20;

const ENDED = new Set(["success", "failed"]);

/** Whether nothing more will happen to a run, unless somebody clears it. */
export const ended = (run) => ENDED.has(run?.state);

/** The run that an operation has made, by its result: `{dagId, runId}`; null where it has made none. */
export function runOf(operation) {
  const [row, ...more] = Array.isArray(operation.result) ? operation.result : [];
  if (operation.effect !== "write" || more.length || !row || typeof row !== "object") return null;
  const runId = row.dag_run_id ?? row.run_id;
  return typeof runId === "string" && typeof row.dag_id === "string" ? { dagId: row.dag_id, runId } : null;
}

/** The path of a run, in Airflow's UI below its root. */
export const runPlace = ({ dagId, runId }) => `/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`;

/** The path of a task instance, in Airflow's UI below its root. */
export const taskPlace = (run, task) => `${runPlace(run)}/tasks/${encodeURIComponent(task.task_id)}${task.map_index >= 0 ? `/mapped/${task.map_index}` : ""}`;

const apiPath = ({ dagId, runId }, ...rest) => ["/dags", encodeURIComponent(dagId), "dagRuns", encodeURIComponent(runId), ...rest].join("/");

/**
 * Follow a run until it ends.
 *
 * @param {{dagId: string, runId: string}} place
 * @returns `{run, paused, counts, failed, error}`: run: as Airflow describes it; paused: whether its DAG is, which keeps it
 *   from beginning; counts: task instances by state; failed: those that have; error: why it cannot be seen
 */
export function useRun(place) {
  const [seen, setSeen] = useState({ run: null, paused: false, counts: {}, failed: [], error: null });
  useEffect(() => {
    let turns = 0;
    const look = async (signal) => {
      turns += 1;
      if (turns > OFTEN && turns % 5) return;
      const ask = (path) => airflow(path, { patient: false, signal });
      try {
        const run = await ask(apiPath(place));
        const [paused, tasks] = await Promise.all([isPaused(ask, place, run), tasksOf(ask, place, run)]);
        if (signal.aborted) return;
        setSeen({ run, paused, ...tasks, error: null });
        if (ended(run)) stop();
      } catch (error) {
        if (signal.aborted) return;
        setSeen((before) => ({ ...before, error }));
        // What was refused will be refused again.
        if ([403, 404].includes(error.status)) stop();
      }
    };
    let stop = () => {};
    stop = poll(look, EVERY);
    return stop;
  }, [place.dagId, place.runId]);
  return seen;
}

async function isPaused(ask, { dagId }, run) {
  if (run.state !== "queued") return false;
  const dag = await ask(`/dags/${encodeURIComponent(dagId)}`).catch(() => null);
  return Boolean(dag?.is_paused);
}

/** The task instances; without a word where they are not for these eyes. */
async function tasksOf(ask, place, run) {
  const none = { counts: {}, failed: [] };
  if (run.state === "queued") return none;
  const found = await ask(apiPath(place, `taskInstances?limit=${COUNTED}`)).catch(() => null);
  if (!found) return none;
  const counts = {};
  for (const { state } of found.task_instances) counts[state ?? "none"] = (counts[state ?? "none"] ?? 0) + 1;
  const few = found.total_entries <= found.task_instances.length;
  const failed = few ? found.task_instances.filter((one) => one.state === "failed") : ((await ask(apiPath(place, `taskInstances?state=failed&limit=${NAMED}`)).catch(() => null))?.task_instances ?? []);
  return { counts: few ? counts : {}, failed: failed.slice(0, NAMED) };
}

/** The log of a task instance's last try: `{text, why}`, why: what the exception in it says, where there is one. */
export async function logOf(place, task) {
  const path = apiPath(place, "taskInstances", encodeURIComponent(task.task_id), "logs", String(task.try_number));
  const { content } = await airflow(`${path}?map_index=${task.map_index}&full_content=true`);
  const lines = Array.isArray(content) ? content : [content];
  const broken = lines.flatMap((line) => line?.error_detail ?? []).at(-1);
  return { text: lines.map(lineOf).join("\n"), why: broken ? exceptionOf(broken) : null };
}

const exceptionOf = ({ exc_type: type, exc_value: value }) => [type, value].filter(Boolean).join(": ");

function lineOf(line) {
  if (typeof line === "string") return line;
  const head = [line.timestamp, line.level?.toUpperCase(), line.event].filter(Boolean).join(" ");
  const traces = [line.error_detail ?? []].flat().map((error) => {
    const frames = (error.frames ?? []).map(({ filename, lineno, name }) => `  File "${filename}", line ${lineno}, in ${name}`);
    return ["Traceback (most recent call last):", ...frames, exceptionOf(error)].join("\n");
  });
  return [head, ...traces].join("\n");
}
