"""The 26 endpoints of the 1.x plugin, as data: the contract with its clients."""

from __future__ import annotations

from dataclasses import replace

from airflow_rest_api import __version__
from airflow_rest_api.airflow import installation
from airflow_rest_api.legacy import printed
from airflow_rest_api.legacy import translate as translations
from airflow_rest_api.legacy.model import Endpoint, EndpointArgument


def _text(name: str, description: str, *, secret: bool = False) -> EndpointArgument:
    return EndpointArgument(name, description, secret=secret)


def _box(name: str, description: str) -> EndpointArgument:
    return EndpointArgument(name, description, check_box=True)


def _place(position: int, name: str, description: str, *, required: bool = True) -> EndpointArgument:
    return EndpointArgument(name, description, required=required, position=position)


DAG = _place(1, "dag_id", "The id of the DAG.")
TASK = _place(2, "task_id", "The id of the task.")
DATE = _place(3, "execution_date", "The logical date of the DAG run, or its run id.")
SUBDIR = _text("subdir", "A folder or file inside a DAG bundle: the DAG is looked up there.")
NO_SUBDIR = _text("subdir", "Without effect, but that the path must be inside a DAG bundle.")
INSTANCE = (DAG, TASK, DATE, SUBDIR)
ASYNC = _box("async", "Answer at once, with 202 and the `operation_id` for the v2 API.")

BACKGROUND = (
    _text(
        "pid",
        "Name of a file in AIRFLOW_HOME, ending with `.pid`; it has the process id as long as it runs.",
    ),
    _box("daemon", "Always the case; with it there is a pid file, `airflow-<endpoint>.pid` by default."),
    _text("stdout", "Name of the file in Airflow's log folder that takes the output."),
    _text(
        "stderr",
        "Name of the file in Airflow's log folder that takes the error output; without it, the same file.",
    ),
    _text("log-file", "Name of the log file in Airflow's log folder; `stdout` comes first."),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "version",
        "The version of Airflow.",
        runs="answered at once",
        text_output=True,
        translate=translations.answered(installation.version),
        since="1.0.0",
    ),
    Endpoint(
        "rest_api_plugin_version",
        "The version of this plugin.",
        runs="answered at once",
        text_output=True,
        translate=translations.answered(lambda: __version__),
    ),
    Endpoint(
        "render",
        "Render the templates of a task instance.",
        INSTANCE,
        translate=translations.command(load=True),
        commands=("tasks render",),
        since="1.7.0",
        has_result=False,
        prints=printed.rendered,
    ),
    Endpoint(
        "variables",
        "Set, get, list, delete, import and export variables.",
        (
            _text("cmd", "`set`, with `key` and `value`."),
            _text("key", "Key of the variable to set."),
            _text("value", "Value of the variable to set."),
            _text("get", "Key of the variable to read."),
            _box("json", "With `get`: read the value as JSON."),
            _text("default", "With `get`: what to print where the variable does not exist."),
            _text("import", "File in the exchange folder to import from."),
            _text("export", "File in the exchange folder to export to."),
            _text("delete", "Key of the variable to delete."),
        ),
        runs="`airflow variables set`, `get`, `delete`, `import`, `export`, `list`",
        translate=translations.variables,
        commands=(
            "variables delete",
            "variables export",
            "variables get",
            "variables import",
            "variables list",
            "variables set",
        ),
        since="1.7.1",
        prints=printed.variables,
    ),
    Endpoint(
        "connections",
        "List, add and delete connections.",
        (
            _box("list", "List all connections; the same as none of the three."),
            _box("add", "Add a connection."),
            _box("delete", "Delete a connection."),
            _text("conn_id", "Id of the connection to add or delete."),
            _text("conn_uri", "With `add`: the connection as a URI.", secret=True),
            _text("conn_type", "With `add`: type of the connection, without `conn_uri`."),
            _text("conn_extra", "With `add`: the `extra` field, JSON.", secret=True),
            _text("conn_host", "With `add`: host, without `conn_uri`."),
            _text("conn_login", "With `add`: login, without `conn_uri`."),
            _text("conn_password", "With `add`: password, without `conn_uri`.", secret=True),
            _text("conn_schema", "With `add`: schema, without `conn_uri`."),
            _text("conn_port", "With `add`: port, without `conn_uri`."),
        ),
        runs="`airflow connections list`, `add`, `delete`",
        translate=translations.connections,
        commands=("connections add", "connections delete", "connections list"),
        since="1.8.0",
        prints=printed.connections,
    ),
    Endpoint(
        "pause",
        "Pause a DAG.",
        (DAG, NO_SUBDIR),
        translate=translations.command(),
        commands=("dags pause",),
        since="1.7.0",
        prints=printed.paused,
    ),
    Endpoint(
        "unpause",
        "Resume a paused DAG.",
        (DAG, NO_SUBDIR),
        translate=translations.command(),
        commands=("dags unpause",),
        since="1.7.0",
        prints=printed.paused,
    ),
    Endpoint(
        "task_failed_deps",
        "Why a task instance is not run: its unmet dependencies.",
        INSTANCE,
        translate=translations.command(),
        commands=("tasks failed-deps",),
        since="1.8.0",
        prints=printed.failed_deps,
    ),
    Endpoint(
        "trigger_dag",
        "Create a run of a DAG.",
        (
            DAG,
            NO_SUBDIR,
            _text("run_id", "Id of the run."),
            _text("conf", "Configuration of the run, a JSON object."),
            _text("exec_date", "Logical date of the run."),
            _text("execution_date", "The same as `exec_date`, which comes first."),
        ),
        translate=translations.trigger,
        commands=("dags trigger",),
        since="1.6.0",
        prints=printed.triggered,
        more=printed.run_keys,
    ),
    Endpoint(
        "test",
        "Run a task instance without its dependencies and without recording its state.",
        (
            *INSTANCE,
            _box("dry_run", "Render the templates, run nothing."),
            _text("task_params", "Parameters of the task, a JSON object."),
            ASYNC,
        ),
        runs="`airflow tasks test`; with `dry_run`, `airflow tasks render`",
        log_is_output=True,
        translate=translations.test,
        commands=("tasks test",),
        since="0.1",
        has_result=False,
        prints=printed.tested,
    ),
    Endpoint(
        "dag_state",
        "The state of a DAG run.",
        (DAG, replace(DATE, position=2), NO_SUBDIR),
        translate=translations.command(without_run=True),
        commands=("dags state",),
        since="1.8.0",
        prints=printed.state,
        more=printed.state_key,
    ),
    Endpoint(
        "run",
        "Run one task instance of an existing DAG run.",
        (
            *INSTANCE,
            _box("mark_success", "Set the task instance to success, run nothing."),
            _box("force", "Run it again whatever its state is."),
            _text("pool", "Pool to run it in."),
            _text("cfg_path", "Without effect."),
            _box("local", "Run it here, now, and wait for it."),
            _box("ignore_all_dependencies", "Run it whatever its state and its dependencies are."),
            _box(
                "ignore_dependencies",
                "Do not look at the task's own dependencies, such as upstream tasks. Where these have failed "
                "or were skipped: with `local`, when the DAG run has ended. The scheduler asks again.",
            ),
            _box("ignore_depends_on_past", "Do not look at the task's earlier runs."),
            _box("ship_dag", "Without effect."),
            _text("pickle", "Without effect."),
            ASYNC,
        ),
        runs="the scheduler, or this machine with `local` (no Airflow 3 has a command for it)",
        log_is_output=True,
        translate=translations.run,
        since="1.0.0",
        prints=printed.run,
    ),
    Endpoint(
        "list_tasks",
        "The tasks of a DAG.",
        (DAG, _box("tree", "As a tree: each task under the tasks it follows."), SUBDIR),
        runs="`airflow tasks list`; with `tree`, the DAG as Airflow's database has it",
        translate=translations.list_tasks,
        commands=("tasks list",),
        since="0.1",
        prints=printed.of_done,
    ),
    Endpoint(
        "backfill",
        "Create the runs of a DAG for a range of dates.",
        (
            DAG,
            _text("task_regex", "Without effect: a backfill runs all tasks."),
            _text("start_date", "First logical date; without `end_date`, that day, or moment, alone."),
            _text("end_date", "Last logical date; without `start_date`, that day, or moment, alone."),
            _box("mark_success", "Without effect: the tasks are run."),
            _box("local", "Without effect: the scheduler runs a backfill."),
            _box("donot_pickle", "Without effect."),
            _box("include_adhoc", "Without effect."),
            _box("ignore_dependencies", "Without effect."),
            _box("ignore_first_depends_on_past", "Without effect."),
            NO_SUBDIR,
            _text("pool", "Without effect."),
            _box("dry_run", "Show the runs, create none."),
            ASYNC,
        ),
        log_is_output=True,
        translate=translations.backfill,
        commands=("backfill create", "dags backfill"),
        since="0.1",
        prints=printed.backfill,
    ),
    Endpoint(
        "list_dags",
        "All DAGs.",
        (
            _text("subdir", "A folder or file inside a DAG bundle: its DAGs alone."),
            _box("report", "Also how long each file took to load."),
        ),
        runs="`airflow dags list`; with `report`, `airflow dags report` too",
        translate=translations.list_dags,
        commands=("dags list",),
        since="0.1",
        prints=printed.dags,
    ),
    Endpoint(
        "kerberos",
        "Start a Kerberos ticket renewer.",
        (
            _place(1, "principal", "Kerberos principal.", required=False),
            _text("keytab", "Path of the keytab on the server."),
            *BACKGROUND,
        ),
        background=True,
        translate=translations.start,
        commands=("kerberos",),
        since="1.6.0",
    ),
    Endpoint(
        "worker",
        "Start a Celery worker.",
        (
            _box("do_pickle", "Without effect."),
            _text("queues", "Comma-separated names of the queues to serve."),
            _text("concurrency", "Number of worker processes."),
            *BACKGROUND,
        ),
        background=True,
        translate=translations.start,
        commands=("celery worker",),
        comes_with="the Celery provider",
        since="0.1",
    ),
    Endpoint(
        "flower",
        "Start Celery Flower.",
        (
            _text("hostname", "Host name to listen on."),
            _text("port", "Port to listen on."),
            _text("flower_conf", "Path of the configuration file on the server."),
            _text("broker_api", "Address of the broker's API.", secret=True),
            *BACKGROUND,
        ),
        background=True,
        translate=translations.start,
        commands=("celery flower",),
        comes_with="the Celery provider",
        since="1.0.0",
    ),
    Endpoint(
        "scheduler",
        "Start a scheduler.",
        (
            _text("dag_id", "Without effect: a scheduler runs all DAGs. The DAG must exist."),
            _text("subdir", "Without effect: the DAG processor parses DAG files."),
            _text("run-duration", "Without effect."),
            _text("num_runs", "Number of loops before it ends."),
            _text("do_pickle", "Without effect."),
            *BACKGROUND,
        ),
        background=True,
        translate=translations.start,
        commands=("scheduler",),
        since="1.0.0",
    ),
    Endpoint(
        "task_state",
        "The state of a task instance.",
        INSTANCE,
        translate=translations.command(without_run=True),
        commands=("tasks state",),
        since="1.0.0",
        prints=printed.state,
        more=printed.state_key,
    ),
    Endpoint(
        "pool",
        "Set, get, list and delete pools.",
        (
            _text("cmd", "`set`, with `pool_name`, `slot_count` and `description`."),
            _text("get", "Name of the pool to show."),
            _text("pool_name", "Name of the pool to set."),
            _text("slot_count", "Number of slots of the pool to set."),
            _text("description", "Description of the pool to set."),
            _text("pool_description", "The same as `description`, which comes first."),
            _text("delete", "Name of the pool to delete."),
        ),
        runs="`airflow pools set`, `get`, `delete`, `list`",
        translate=translations.pools,
        commands=("pools delete", "pools get", "pools list", "pools set"),
        since="1.8.0",
        prints=printed.pool,
    ),
    Endpoint(
        "serve_logs",
        "Serve the logs of tasks over HTTP.",
        runs="Airflow's own log server",
        background=True,
        translate=translations.serve_logs,
        since="0.1",
    ),
    Endpoint(
        "clear",
        "Clear task instances, so that they run again.",
        (
            DAG,
            _text("task_regex", "Only tasks whose id matches."),
            _text("start_date", "First logical date."),
            _text("end_date", "Last logical date."),
            SUBDIR,
            _box("upstream", "Also the tasks before those that match."),
            _box("downstream", "Also the tasks after those that match."),
            _box("no_confirm", "Always the case."),
            _box("only_failed", "Only failed ones."),
            _box("only_running", "Only running ones."),
            _box("exclude_subdags", "Without effect: there are no subdags."),
        ),
        translate=translations.command(),
        commands=("tasks clear",),
        since="0.1",
        prints=printed.cleared,
    ),
    Endpoint(
        "deploy_dag",
        "Store a DAG file, or the files of an archive, in a DAG bundle.",
        (
            EndpointArgument(
                "dag_file",
                "The file, or an archive (.zip, .tar.gz, .tgz), as multipart/form-data.",
                required=True,
                file=True,
            ),
            _box("force", "Replace files of the same name."),
            _box("pause", "Pause the DAGs that the files define."),
            _box("unpause", "Resume the DAGs that the files define."),
            _text("bundle", "Name of a DAG bundle; by default the one that files can be put into."),
            _text("path", "A folder of the bundle; it need not exist yet."),
            _box(
                "force_invalid",
                "Store the files even if they cannot be imported, or define DAGs of other files.",
            ),
            _box("wait", "Answer only when Airflow has parsed the files."),
        ),
        runs="this plugin",
        methods=("POST",),
        text_output=True,
        translate=translations.deploy,
    ),
    Endpoint(
        "refresh_dag",
        "Have the file of a DAG parsed anew.",
        (EndpointArgument("dag_id", "The id of the DAG.", required=True),),
        runs="the DAG processor",
        text_output=True,
        translate=translations.refresh,
    ),
    Endpoint(
        "refresh_all_dags",
        "Have all DAG files parsed anew.",
        runs="the DAG processor",
        text_output=True,
        translate=translations.refresh,
    ),
)

BY_NAME: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}

ENDPOINT_COMMANDS: dict[str, tuple[str, ...]] = {
    endpoint.name: endpoint.commands for endpoint in ENDPOINTS if endpoint.commands
}
"""The commands that an endpoint may run, for switching them off by its name."""
