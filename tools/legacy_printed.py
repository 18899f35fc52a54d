"""Where `output.stdout` is another text than the recorded one, and why: data for tests and documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PrintedOtherwise:
    """
    One reason why `output.stdout` is another one than the recorded.

    :ivar exchanges: pattern of the ids of recorded exchanges
    :ivar what: what a client sends
    :ivar then: what 1.10.15 printed, in words
    :ivar today: what is printed now, in words
    :ivar now: pattern of what is printed now, as a whole
    :ivar option: what changes it, where something does
    """

    exchanges: str
    what: str
    then: str
    today: str
    now: str
    why: str
    option: str | None = None

    def covers(self, identifier: str) -> bool:
        """Return whether this is about a recorded exchange."""
        return re.fullmatch(self.exchanges, identifier) is not None


NOTHING = ""
FIELD = r"# -{58}\n# property: \w+\n# -{58}\n"
LOG = r".*<day>T<time>Z \[info     \] .*"
"""Lines of today's log."""

TODAY = "`legacy_output = today`: what today's command prints"
IN_OUTPUT = "It is known before a command runs: the reason is the text `output` of an error."
EATEN = "1.x took away every line up to the last that began with `[`, and with it what was asked for."

PRINTED_OTHERWISE: tuple[PrintedOtherwise, ...] = (
    PrintedOtherwise(
        r"norbac\.(trigger_dag\.(bad_exec_date|conf_not_object)|dag_state\.bad_date|render\.bad_date"
        r"|args\.exec_date_help|variables\.(set_no_value|import_notjson)|clear\.bad_date|backfill\.bad_date"
        r"|connections\.(add_no_id|list_and_add|delete_no_id)|pool\.set_bad_slots)\.get",
        "a value that is wrong or missing",
        "usage text, or the reason",
        "nothing: `output` is the reason",
        NOTHING,
        IN_OUTPUT,
    ),
    PrintedOtherwise(
        r"norbac\.(list_dags\.subdir_missing|unpause\.subdir)\.get",
        "`subdir` outside the DAG bundles",
        "as if the folder were empty, or were not given",
        "nothing: `output` is the reason",
        NOTHING,
        IN_OUTPUT,
    ),
    PrintedOtherwise(
        r"norbac\.(task_failed_deps\.no_run|run\.no_run_exists)\.get",
        "`task_failed_deps` and `run` for a date without a DAG run",
        "as if there were one",
        "nothing: it fails, `stderr` has the reason",
        NOTHING,
        "Today a task instance belongs to a DAG run.",
    ),
    PrintedOtherwise(
        r"norbac\.list_dags\.report\.get",
        "`list_dags` with `report`",
        "the DAGs of a file as the file defines them",
        "the same by name, files in the order of today's durations",
        r"\n\n-{67}\nDAGS\n.*DagBag parsing time: <seconds>\n.*\['golden_chatty', 'golden_fail'\]\n.*\n\n\n",
        "Today's command has sorted them.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.variables\.(set_direct|set_direct_with_kv)\.get",
        "`variables` with `set=<key>` in place of `cmd=set`",
        "usage text",
        "the list of variables; `warning` names the argument",
        r"(\w+\n)+",
        "An unknown argument is ignored.",
    ),
    PrintedOtherwise(
        r"norbac\.(variables\.checkbox_json_false|checkbox\.tree_(false|0)|connections\.list_false)\.get",
        "a check box with `false`, `off`, `0` or `no`",
        "as if it were checked",
        "as if it were not",
        r'\{"a": .*|py_task\nsay_bye\nsay_hello\n|.*│ \'c_get\' .*',
        "`false` leaves a check box unchecked.",
    ),
    PrintedOtherwise(
        r"norbac\.variables\.(get_list_value_eaten_by_filter|get_multiline|get_and_delete)\.get",
        "`variables` with `get` of a value that has a line which begins with `[`",
        "what follows the last such line",
        "the value",
        r"\[1, 2\]\n|line1\n\[line2\]\nline3\n",
        EATEN,
    ),
    PrintedOtherwise(
        r"norbac\.connections\.none\.get",
        "`connections` without a verb",
        "nothing",
        "the list of connections",
        r".*│ Conn Id .*",
        "The same as `list`.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.connections\.add_uri\.get",
        "`connections` with `add`",
        "the URI with its password",
        "the URI without user and password",
        r"\n\tSuccessfully added `conn_id`=c_get : postgres://\*\*\*@db\.example:5432/base\n\n",
        "A password is shown nowhere.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.connections\.add_conn_type_ignored\.get",
        "`connections` with `add` and `conn_type`",
        "that a URI is required: the argument was ignored",
        "that it was added",
        r"\n\tSuccessfully added `conn_id`=c_type : http://:@:\n\n",
        "The argument works.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.connections\.list\.get",
        "`connections` with `list`",
        "`Extra` as it is stored, shortened",
        "`'***'` where there is an `Extra`",
        r".*│ 'c_get'   │ 'postgres'  │ 'db\.example' │   5432 │ True  +│ True  +│ '\*\*\*'   │.*",
        "What may hold a secret is shown nowhere.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.pool\.(set_readme_description|set_direct)\.get",
        "`pool` with `description`; with `set=<name>` in place of `cmd=set`",
        "usage text",
        "the pool; the list of pools, and `warning` names the argument",
        r"\n╒.*│ (p_readme     │      10|p_readme │      10|default_pool │     128) │.*",
        "`description` is what the documentation called it.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.run\.(pickle_missing|cfg_path_missing)\.get",
        "`run` with `pickle` or `cfg_path`",
        "that the pickle is loaded, or nothing",
        "the task instance, as without them",
        r"Running <TaskInstance: golden_basic\.say_hello .*",
        "These arguments have no effect.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.clear\.(only_failed|regex_dates)\.get",
        "`clear` where something was cleared",
        "nothing",
        "the task instances that were cleared, a line each, as 1.10 showed them before it asked",
        r"(<TaskInstance: \w+\.\w+ [\w:+-]+ \[\w+\]>\n)+",
        "`Nothing to clear.` and nothing at all are easily taken for each other.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.render\.(ok|param)\.get",
        "`render`",
        "the template fields that operators had then",
        "those that they have now, such as `cwd`",
        rf"{FIELD}.*\n\n{FIELD}.*\n\n{FIELD}None\n\n",
        "They are the operator's.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.render\.no_run\.get",
        "`render` for a date without a DAG run",
        "`None` for the run's id",
        "the date that was given for it",
        rf"{FIELD}echo hello 2020-01-01 world run=2020-01-01T00:00:00\+00:00\n\n{FIELD}.*",
        "Today's command makes a run of that id for the templates.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.render\.python_task\.get",
        "`render` of a task with a list among its fields",
        "what follows the list",
        "all fields",
        rf"{FIELD}None\n\n{FIELD}\['2026-11-10'\]\n\n{FIELD}\{{\}}\n\n",
        EATEN,
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.test\.dry_run\.get",
        "`test` with `dry_run`",
        "nothing",
        "the template fields, as `render` prints them",
        rf"{FIELD}.*",
        EATEN,
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.(test\.(bash|python|task_params|failing|no_such_task|chatty_small)|backfill\.(real|local))\.get",
        "`test` and `backfill`",
        "nothing",
        "the log of the task; the runs that were created",
        LOG,
        EATEN,
    ),
    PrintedOtherwise(
        r"norbac\.backfill\.include_adhoc\.get",
        "`backfill` with `include_adhoc`",
        "usage text",
        "the same as without it",
        r"Dry run of DAG golden_param on .*",
        "The argument has no effect.",
        TODAY,
    ),
    PrintedOtherwise(
        r"norbac\.task_failed_deps\.(done|upstream)\.get",
        "`task_failed_deps`",
        "`None` for the state of the task instance; the states of what it follows as 1.10 counted them",
        "its state, by name of the dependency; the states as Airflow counts them today",
        r"Task instance dependencies not met:\nDagrun Running: .*'(success|upstream_failed)' state which.*",
        "1.10 had not read the state.",
        TODAY,
    ),
)


def printed_otherwise(identifier: str) -> PrintedOtherwise | None:
    """Return why a recorded exchange is known to print another text, None where it prints the same."""
    return next((item for item in PRINTED_OTHERWISE if item.covers(identifier)), None)
