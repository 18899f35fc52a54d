"""Where our answer to a recorded exchange is another one, and why: data for tests and documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """
    One reason, and what it applies to.

    :ivar exchanges: pattern of the ids of recorded exchanges
    :ivar what: what a client sends
    :ivar then: status and answer of the 1.x plugin
    :ivar now: status of ours
    :ivar says: how our answer begins, where it is text
    :ivar keys: keys that the recorded answer has and ours has not
    """

    exchanges: str
    what: str
    then: str
    now: int
    why: str
    says: str | None = None
    keys: frozenset[str] = frozenset()

    def covers(self, identifier: str) -> bool:
        """Whether this is about a recorded exchange."""
        return re.fullmatch(self.exchanges, identifier) is not None


BEFORE = frozenset({"airflow_cmd"})
"""The key that an answer has only where a command ran."""

FAILED = "The command failed. The 1.x plugin answered OK whatever the command's exit code was."
WRONG_VALUE = "The value is wrong, which is known before a command runs: an error, and its reason as text."

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        r"norbac\.err\.scheduler_unknown_dag\.get",
        "a component that runs on the host already, here with a DAG that does not exist",
        "400, whatever runs",
        409,
        "One component of a kind runs on a host; this is known before the DAG is looked for.",
    ),
    Difference(
        r"norbac\.(trigger_dag\.dup_.*|task_state\.no_such_task|task_failed_deps\.no_such_task|render\.no_such_task"
        r"|test\.no_such_task|run\.no_such_task|list_tasks\.subdir_wrong)\.get",
        "a task that does not exist, a run id or date that is taken, a file that does not define the DAG",
        "200, OK, stack trace in `stderr`",
        500,
        FAILED,
    ),
    Difference(
        r"norbac\.test\.failing\.get",
        "`test` of a task that fails",
        "200, OK",
        500,
        FAILED,
    ),
    Difference(
        r"norbac\.(pool\.get_missing|pool\.delete_missing|pool\.delete_default|connections\.add_dup"
        r"|connections\.add_no_uri|connections\.delete_missing|variables\.import_missing"
        r"|variables\.get_json_of_nonjson)\.get",
        "something to read, change or delete that does not exist or cannot be changed",
        "200, OK, the reason in `stdout`",
        500,
        FAILED,
    ),
    Difference(
        r"norbac\.task_failed_deps\.no_run\.get",
        "`task_failed_deps` for a date without a DAG run",
        "200, OK, the unmet dependencies in `stdout`",
        500,
        "Today a task instance belongs to a DAG run: without one there is none, and the command fails.",
    ),
    Difference(
        r"norbac\.(render\.bad_date|dag_state\.bad_date|args\.exec_date_help)\.get",
        "an `execution_date` that is neither a date nor the id of a run",
        "200, OK, usage text in `stdout`",
        400,
        WRONG_VALUE,
        "Argument 'execution_date': ",
        BEFORE,
    ),
    Difference(
        r"norbac\.run\.no_run_exists\.get",
        "`run` for a date without a DAG run",
        "200, OK; it ran outside of any run",
        500,
        "Today a task instance belongs to a DAG run. Trigger one with that `exec_date` first.",
    ),
    Difference(
        r"norbac\.(trigger_dag\.bad_exec_date|clear\.bad_date|backfill\.bad_date|pool\.set_bad_slots)\.get",
        "a value that is no date or no number",
        "200, OK, usage text in `stdout`",
        400,
        WRONG_VALUE,
        "argument ",
        BEFORE,
    ),
    Difference(
        r"norbac\.trigger_dag\.(bad_conf|conf_not_object)\.get",
        "`trigger_dag` with a `conf` that is no JSON object",
        "200, OK; a list was stored",
        400,
        "A run's configuration is a JSON object.",
        "Argument 'conf' ",
        BEFORE,
    ),
    Difference(
        r"norbac\.backfill\.no_dates\.get",
        "`backfill` without a date",
        "200, OK, stack trace in `stderr`",
        400,
        WRONG_VALUE,
        "Provide a start_date and/or end_date",
        BEFORE,
    ),
    Difference(
        r"norbac\.(variables\.set_no_value|connections\.(add|delete)_no_(id))\.get",
        "`cmd=set` without `value`, `add` or `delete` without `conn_id`",
        "200, OK, usage text or the reason in `stdout`",
        400,
        WRONG_VALUE,
        "The argument(s) [",
        BEFORE,
    ),
    Difference(
        r"norbac\.connections\.list_and_add\.get",
        "`connections` with `list` and `add`",
        "200, OK, the reason in `stdout`",
        400,
        WRONG_VALUE,
        "The arguments ['list', 'add'] exclude each other",
        BEFORE,
    ),
    Difference(
        r"norbac\.variables\.import_notjson\.get",
        "`import` and `export` with a path outside the exchange folder",
        "200; any file of the server was read or written",
        400,
        "Files go through one folder, which `[rest_api_plugin] exchange_folder` names.",
        "Argument 'import': ",
        BEFORE,
    ),
    Difference(
        r"norbac\.(list_dags\.subdir_missing|unpause\.subdir)\.get",
        "`subdir` with a path that is in no DAG bundle",
        "200, OK; any folder was read, or the path was not looked at",
        400,
        "DAGs come from bundles; other folders of the server are nobody's business.",
        "The path '/nonexistent' is outside the DAG bundles",
        BEFORE,
    ),
    Difference(
        r"norbac\.err\.null_byte\.get",
        "`subdir` with a NUL character",
        "500, an HTML page",
        400,
        "Every error is an envelope.",
        "The path has a NUL character in it",
    ),
    Difference(
        r"norbac\.deploy_dag\.subdir_missing",
        "`deploy_dag` with a file name that has a folder in it",
        "500, an HTML page; with an existing folder the file went there",
        400,
        "The folder is said by `path`, not by the name of the file.",
        "The name of dag_file ",
    ),
    Difference(
        r"norbac\.deploy_dag\.force_in_query",
        "`deploy_dag` with `force` in the query",
        "400; it was not looked at there",
        200,
        "Arguments are read from everywhere.",
        "DAG File [dep_norbac.py] has been uploaded",
    ),
    Difference(
        r"norbac\.deploy_dag\.(pause_)?broken_file",
        "`deploy_dag` with a file that cannot be imported",
        "200, OK; it was stored, in place of a working one too",
        400,
        "What cannot be imported is not stored, but with `force_invalid`.",
        "dep_broken",
    ),
    Difference(
        r"norbac\.deploy_dag\.force_false",
        "`deploy_dag` with `force=false`",
        "200; any value was true",
        400,
        "`false`, `off`, `0` and `no` leave a check box unchecked.",
        "The file 'dep_norbac.py' already exists on host ",
    ),
    Difference(
        r"norbac\.refresh_all_dags\.ok\.get",
        "`refresh_all_dags`",
        "500 with RBAC off",
        200,
        "It works now.",
        "All DAGs are now up to date",
    ),
    Difference(
        r"norbac\.err\.long_value\.get",
        "an address of more than 8 kB",
        "400, an HTML page of the server",
        200,
        "Up to 32 KiB; beyond that it is 414, in an envelope: send what is long in the body.",
        "",
    ),
    Difference(
        r"norbac\.meth\.(put|delete|patch)",
        "another method than GET, POST, HEAD and OPTIONS",
        "405, an HTML page",
        405,
        "Every error is an envelope.",
        "The method ",
    ),
    Difference(
        r"norbac\.ok\.(cors_get\.get|cors_preflight\.options)",
        "a request that a page of another site makes (`Origin`)",
        "200",
        403,
        "A page of a site that is not in `[api] access_control_allow_origins` must not act for its visitors.",
        "Requests from other sites are refused",
    ),
)


def difference(identifier: str) -> Difference | None:
    """Return the difference that a recorded exchange is known for, None where our answer is the same."""
    return next((item for item in DIFFERENCES if item.covers(identifier)), None)
