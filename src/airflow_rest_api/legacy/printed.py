"""
What Airflow 1.10.15 printed for each endpoint: the clients of the 1.x plugin read this, and not the status.

The texts are those of the recorded exchanges (tests/data/legacy), character for character but for times,
paths and host names. They are made of the request and of what today's command printed, as JSON where it can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlunparse

from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow_rest_api.legacy.model import LegacyRequest
from airflow_rest_api.secret_names import MASK

RULE = "-" * 67

NEAREST: Mapping[str, str] = dict.fromkeys(("awaiting_input", "deferred", "restarting"), "running")
"""States of a task instance that 1.10 did not know, and the one that its pollers take them for."""

NEAREST_OF_RUN: Mapping[str, str] = {"queued": "running"}
"""The same for a DAG run: 1.10 knew running, success and failed."""

CONNECTION_COLUMNS: Mapping[str, str] = {
    "Conn Id": "conn_id",
    "Conn Type": "conn_type",
    "Host": "host",
    "Port": "port",
    "Is Encrypted": "is_encrypted",
    "Is Extra Encrypted": "is_extra_encrypted",
    "Extra": "extra",
}
"""The columns of `connections --list`, and what our rows call them."""

MISSING_FILE, INVALID_FILE = "Missing variables file.\n", "Invalid variables file.\n"
"""All that 1.10 said of a file with variables that it could not import."""

NEITHER = ["conn_uri or conn_type"]

POOL_COLUMNS: Mapping[str, str] = {"Pool": "pool", "Slots": "slots", "Description": "description"}

FIELD = re.compile(r"^ *# -{58}\n *# property: .*\n *# -{58}\n", re.MULTILINE)
"""Begins a field in what `tasks render` prints; further in before Airflow 3.1, with several lines."""

_EXPORTED = re.compile(r"^(\d+) Variables (successfully exported to .*)\.\n\Z", re.MULTILINE)
_IN_STATE = re.compile(r"^Task Instance State: Task is in the '(.*)' state\.$", re.MULTILINE)
_NOT_VALID = (
    r"Task Instance State: Task is in the '\1' state which is not a valid state for execution. "
    r"The task must be cleared in order to be run."
)
_UNCAUGHT = re.compile(r"^(?:\w+\.)*\w+(?:Error|Exception)(?::|$)", re.MULTILINE)
"""An exception that a command did not expect, as our child ends with it."""
_DURATION = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.(\d{6}))?")


@dataclass(frozen=True)
class Printed:
    """
    What came of a request's commands.

    :ivar done: whether they succeeded
    :ivar stdout: what they printed, without the lines of their loggers
    :ivar stderr: the reason where they failed
    :ivar documents: the JSON objects and arrays in what they printed
    :ivar host: what this machine is called
    :ivar dags_folder: where DAG files are looked for
    :ivar ended: whether they ended by themselves, and not because of a time limit or a cancellation
    """

    request: LegacyRequest
    done: bool
    stdout: str
    stderr: str = ""
    documents: Sequence[Any] = field(default=())
    host: str = ""
    dags_folder: str = ""
    ended: bool = True

    def rows(self, number: int = 0) -> list[dict[str, Any]]:
        """Return the rows of one of the documents; none where it is not there."""
        found = self.documents[number] if len(self.documents) > number else []
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def printed_text(printed: Printed) -> str:
    """Return what 1.10.15 would have printed, or what was printed where it would have been the same."""
    write = printed.request.endpoint.prints
    return write(printed) if write else printed.stdout


def more_of(printed: Printed, root: str) -> dict[str, Any]:
    """
    Return what a script asks for next, for keys of the envelope.

    :param root: the path under which the client sees Airflow
    """
    more = printed.request.endpoint.more
    return more(printed, root) if more and printed.done else {}


def state_key(printed: Printed, root: str) -> dict[str, Any]:
    """Return the state, in the words of today."""
    return {"state": state_of(printed)}


def run_keys(printed: Printed, root: str) -> dict[str, Any]:
    """Return id, date and address of the run that was made."""
    for run in printed.rows()[:1]:
        dag_id, run_id = str(run["dag_id"]), str(run["dag_run_id"])
        address = f"{root}/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
        date = run["logical_date"]
        return {"dag_run_id": run_id, "logical_date": date and _iso(str(date)), "dag_run_url": address}
    return {}


def _iso(moment: str) -> str:
    return moment.replace(" ", "T", 1)


def nearest(endpoint: str, state: str | None) -> str:
    """Return a state as pollers of an endpoint know it; ``None`` for none, as 1.10 printed it."""
    if state is None:
        return "None"
    known = NEAREST_OF_RUN if endpoint == "dag_state" else NEAREST
    return known.get(state, state)


# From here on: the texts, each for the endpoints whose records name it.


def dags(printed: Printed) -> str:
    if not printed.done:
        return ""
    ids = "\n".join(sorted(str(row["dag_id"]) for row in printed.rows()))
    listed = f"\n\n{RULE}\nDAGS\n{RULE}\n{ids}\n\n"
    return listed + _report(printed) if printed.request.given("report") else listed


def _report(printed: Printed) -> str:
    """Return what `DagBag.dagbag_report` of 1.10 returned: the slowest file first."""
    rows = sorted(printed.rows(1), key=lambda row: _seconds(str(row["duration"])), reverse=True)
    stats = [
        (
            "/" + str(row["file"]).lstrip("/"),
            str(row["duration"]),
            int(row["dag_num"]),
            int(row["task_num"]),
            str(row["dags"]),
        )
        for row in rows
    ]
    total = round(sum(_seconds(duration) for _, duration, *_ in stats), 6)
    where = _looked_at(printed.request.get("subdir"), printed.dags_folder)
    table = _plain_table(("file", "duration", "dag_num", "task_num", "dags"), stats)
    return (
        f"\n\n{RULE}\nDagBag loading stats for {where}\n{RULE}\n"
        f"Number of DAGs: {sum(stat[2] for stat in stats)}\n"
        f"Total task number: {sum(stat[3] for stat in stats)}\n"
        f"DagBag parsing time: {total}\n"
        f"{table}\n\n"
    )


def _looked_at(subdir: str | None, dags_folder: str) -> str:
    """Return the path that `process_subdir` of 1.10 made of an argument; a relative one is in the folder."""
    path = os.path.expanduser((subdir or "").replace("DAGS_FOLDER", dags_folder))
    return os.path.normpath(os.path.join(dags_folder, path))


def _plain_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return what `pprinttable` of 1.10 returned: numbers to the right, everything else to the left."""
    if not rows:
        return "\n"
    widths = [max(len(str(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[Any], *, header: bool = False) -> str:
        return " | ".join(
            str(cell).rjust(width) if isinstance(cell, int) and not header else str(cell).ljust(width)
            for cell, width in zip(cells, widths, strict=True)
        )

    rule = "-+-".join("-" * width for width in widths)
    return "\n".join([rule, line(headers, header=True), rule, *map(line, rows), rule]) + "\n"


def _seconds(duration: str) -> float:
    """Return how many seconds a `timedelta` printed as text has."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return 0.0
    days, hours, minutes, seconds, microseconds = (int(part or 0) for part in match.groups())
    return timedelta(days, seconds, microseconds, 0, minutes, hours).total_seconds()


def state(printed: Printed) -> str:
    if not printed.done:
        return ""
    return f"{nearest(printed.request.endpoint.name, state_of(printed))}\n"


def state_of(printed: Printed) -> str | None:
    """Return the state that today's command printed, without the configuration behind it; None for none."""
    found = printed.stdout.partition(",")[0].strip()
    return None if found in ("None", "") else found


def paused(printed: Printed) -> str:
    is_paused = printed.request.endpoint.name == "pause"
    return f"Dag: {printed.request.get('dag_id')}, paused: {is_paused}\n" if printed.done else ""


def triggered(printed: Printed) -> str:
    rows = printed.rows()
    if not printed.done or not rows:
        return ""
    made = rows[0]
    moment = _iso(str(made["logical_date"]))
    if not (printed.request.given("exec_date") or printed.request.given("execution_date")):
        # Without a date of the client's it was no text of its parser's, but what Python calls a date.
        moment = moment.replace("T", " ")
    return f"Created <DagRun {made['dag_id']} @ {moment}: {made['dag_run_id']}, externally triggered: True>\n"


def rendered(printed: Printed) -> str:
    """Return the fields with a blank line behind each, which today's command leaves out since Airflow 3.1."""
    if not printed.done:
        return ""
    if not AIRFLOW_V_3_1_PLUS:
        return printed.stdout
    starts = [match.start() for match in FIELD.finditer(printed.stdout)]
    ends = [*starts[1:], len(printed.stdout)] if starts else []
    return "".join(f"{printed.stdout[start:end]}\n" for start, end in zip(starts, ends, strict=True))


def tested(printed: Printed) -> str:
    return rendered(printed) if printed.request.given("dry_run") else printed.stdout


def backfill(printed: Printed) -> str:
    if not printed.request.given("dry_run"):
        return printed.stdout
    last = printed.documents[-1] if printed.done and printed.documents else None
    if not isinstance(last, dict):
        return ""
    tasks = "".join(f"Task {task}\n" for task in last["tasks"])
    return f"Dry run of DAG {last['dag_id']} on {last['logical_date']}\n{tasks}"


def variables(printed: Printed) -> str:
    request = printed.request
    asked = [name for name in ("get", "delete", "import", "export") if request.given(name)]
    if not asked and not request.sets:
        return "".join(f"{row['key']}\n" for row in printed.rows()) if printed.done else ""
    if not printed.done:
        # What 1.10 printed where today's command exits with it; what kept it from its end is another reason.
        reason = "" if not printed.ended or _UNCAUGHT.search(printed.stderr) else printed.stderr.strip()
        if asked == ["import"] and reason:
            return MISSING_FILE if MISSING_FILE.strip() in reason else INVALID_FILE
        # What is read comes first: where it was printed, something else has failed.
        not_json = asked[:1] == ["get"] and request.given("json") and not printed.stdout
        return f"{reason}\n" if not_json and reason else ""
    shown = printed.stdout
    # What 1.10 did without a word, the last first: it was done in this order.
    for name, silent in (("value", request.sets), ("delete", request.given("delete"))):
        if silent:
            key = request.get("key" if name == "value" else "delete")
            shown = _without(shown, f"Variable {key} {'created' if name == 'value' else 'deleted'}\n")
    return _EXPORTED.sub(r"\1 variables \2\n", shown) if request.get("export") not in (None, "-") else shown


def _without(text: str, line: str) -> str:
    """Return a text without the last appearance of a line."""
    place = text.rfind(line)
    return text if place < 0 else text[:place] + text[place + len(line) :]


def connections(printed: Printed) -> str:
    request, conn_id = printed.request, printed.request.get("conn_id")
    if request.given("add"):
        if printed.done:
            return f"\n\tSuccessfully added `conn_id`={conn_id} : {_address(request)}\n\n"
        if not (request.given("conn_uri") or request.given("conn_type")):
            return f"\n\tThe following args are required to add a connection: {NEITHER}\n\n"
        exists = f"A connection with `conn_id`={conn_id} already exists"
        return f"\n\t{exists}\n\n" if exists in printed.stderr else ""
    if request.given("delete"):
        if printed.done:
            return f"\n\tSuccessfully deleted `conn_id`={conn_id}\n\n"
        missing = f"Did not find a connection with `conn_id`={conn_id}"
        return f"\n\t{missing}\n\n" if missing in printed.stderr else ""
    if not printed.done:
        return ""
    rows = [[_cell(name, row.get(name)) for name in CONNECTION_COLUMNS.values()] for row in printed.rows()]
    return f"{_grid(CONNECTION_COLUMNS, rows)}\n"


def _cell(name: str, value: Any) -> Any:
    """Return a value of a connection as `reprlib` wrote it for 1.10, but in full."""
    if name == "port" and str(value).isdecimal():
        return int(value)
    return str(value) if name in ("is_encrypted", "is_extra_encrypted") else repr(value)


def masked_address(uri: str) -> str:
    """Return a connection's address without user, password and extra field."""
    # Airflow takes passwords with `@` and `/` in them; what follows `?` is the extra field.
    scheme, found, rest = uri.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}://{MASK if at else ''}{at}{host}".partition("?")[0] if found else MASK


def _address(request: LegacyRequest) -> str:
    """Return the connection that was added as an address, without its password, which 1.10 printed."""
    if uri := request.get("conn_uri"):
        return masked_address(uri)
    password = MASK if request.given("conn_password") else ""
    of = {name: request.get(f"conn_{name}") or "" for name in ("type", "login", "host", "port", "schema")}
    place = f"{of['login']}:{password}@{of['host']}:{of['port']}"
    return urlunparse((of["type"], place, of["schema"], "", "", ""))


def pool(printed: Printed) -> str:
    request = printed.request
    if name := request.get("get"):
        return _pools(printed.rows()) if printed.done else _no_pool(printed, name)
    if request.sets:
        description = request.get("description") or request.get("pool_description") or ""
        row = {
            "pool": request.get("pool_name"),
            "slots": request.get("slot_count"),
            "description": description,
        }
        return _pools([row]) if printed.done else ""
    if name := request.get("delete"):
        if printed.done:
            return _pools(printed.rows()) if printed.documents else ""
        if "default_pool cannot be deleted" in printed.stderr:
            return "default_pool cannot be deleted\n"
        return _no_pool(printed, name)
    return _pools(printed.rows()) if printed.done else ""


def _no_pool(printed: Printed, name: str) -> str:
    """Return that there is no such pool, where that is the reason: who reads it may make one."""
    missing = f"Pool {name} does not exist" in printed.stderr
    return f"Pool {name!r} doesn't exist\n" if missing else ""


def _pools(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [[row.get(name) or "" for name in POOL_COLUMNS.values()] for row in rows]
    return f"\n{_grid(POOL_COLUMNS, [[pool, int(slots), about] for pool, slots, about in cells])}\n"


def _grid(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as `tabulate` drew it for 1.10; a name that looks like a number stays what it is."""
    from tabulate import tabulate

    if not rows:
        return str(tabulate([], list(columns), tablefmt="fancy_grid"))
    texts = [place for place in range(len(columns)) if not any(isinstance(row[place], int) for row in rows)]
    return str(tabulate(rows, list(columns), tablefmt="fancy_grid", disable_numparse=texts))


def cleared(printed: Printed) -> str:
    """Return what was cleared, in the form in which 1.10 asked whether it should be; it printed no more."""
    if not printed.done or not printed.documents:
        return ""
    rows = printed.rows()
    lines = "".join(
        f"<TaskInstance: {row['dag_id']}.{row['task_id']} {row['logical_date']} [{row['state']}]>\n"
        for row in rows
    )
    return lines or "Nothing to clear.\n"


def run(printed: Printed) -> str:
    last = printed.documents[-1] if printed.documents else None
    if not isinstance(last, dict) or "state_before" not in last:
        return ""
    instance = f"{last['dag_id']}.{last['task_id']} {last['logical_date']} [{last['state_before']}]"
    return f"Running <TaskInstance: {instance}> on host {printed.host}\n"


def failed_deps(printed: Printed) -> str:
    """Return the unmet dependencies by name: Airflow keeps them in a set, whose order is any."""
    if not printed.done:
        return ""
    lines = printed.stdout.splitlines(keepends=True)
    return "".join(lines[:1] + sorted(_IN_STATE.sub(_NOT_VALID, line) for line in lines[1:]))


def of_done(printed: Printed) -> str:
    return printed.stdout if printed.done else ""
