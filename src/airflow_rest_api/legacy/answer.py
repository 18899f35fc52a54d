"""From what a request's commands printed to its envelope."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from airflow_rest_api.airflow.installation import configured
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.child import messages
from airflow_rest_api.legacy.printed import FIELD, TEXTS, Printed, more_of, text
from airflow_rest_api.operations.log_lines import alarms, without_log_lines
from airflow_rest_api.operations.model import State
from airflow_rest_api.operations.result import SILENT, documents, reader

if TYPE_CHECKING:
    from airflow_rest_api.legacy.envelope import Envelope
    from airflow_rest_api.legacy.request import Request
    from airflow_rest_api.legacy.translate.plan import Work
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.result import Read

LONG_TEXT = 64 * 1024
"""Characters from which making an answer of what was printed is left to a thread."""

ALARMS = 10
LONGEST_ALARM = 500
"""Warnings and errors of a command's log that an answer repeats, and characters of one."""

CUT = "The output was cut at [rest_api_plugin] output_limit"
_GAP = re.compile(r"^… \d+ bytes left out …$", re.MULTILINE)
"""What stands for output that was let go."""

NO_RESULT = frozenset({"render", "test"})
"""Endpoints that print texts of DAG authors: what looks like JSON in them is no answer of ours."""

PASSED = timedelta(seconds=60)
"""Longer than any answer to `trigger_dag` takes whose client looks for its run by the time of the answer."""


class Options(Protocol):
    """The settings that matter to an answer."""

    @property
    def filter_loading_messages_in_cli_response(self) -> bool:
        """Whether log lines are taken out of stdout."""

    @property
    def legacy_output(self) -> str:
        """What stdout has: `1.10` or `today`."""


def as_1x(options: Options) -> bool:
    """Return whether stdout has what 1.10 printed."""
    return options.legacy_output == "1.10"


def is_long(operation: Operation) -> bool:
    """Return whether making an answer of an operation may take longer than a thread does to begin."""
    return len(operation.stdout) > LONG_TEXT


def reader_of(request: Request, work: Work) -> Read:
    """Return what reads the result off the output of a work, where no command of its own says how."""
    if request.endpoint.name in NO_RESULT:
        return lambda stdout, done: None
    only = work.invocations[0] if len(work.invocations) == 1 else None
    return (only and reader(only)) or _documents


def fill(
    envelope: Envelope,
    request: Request,
    work: Work,
    operation: Operation,
    options: Options,
    root: str,
    broken: str | None = None,
) -> None:
    """
    Put what came of an operation into an envelope; of a `is_long` one in a thread.

    :param root: the path under which the client sees Airflow
    :param broken: the import error of the file of the request's DAG
    :raises Refusal: the child refused the request; nothing was done
    """
    envelope.ran(operation)
    if not operation.state.ended:
        envelope.status = 202
        envelope.airflow_cmd = work.airflow_cmd
        envelope.output = {"stdout": "", "stderr": "", "stdin": ""}
        return
    told = messages.read(operation.stderr, "" if work.component else work.key)
    envelope.warnings += told.warnings
    if told.refused is not None and operation.exit_code == messages.REFUSED_EXIT_CODE:
        unknown = told.refused == messages.unknown_dag(request.get("dag_id") or "")
        raise Refusal(f"{told.refused}: {broken}" if broken and unknown else told.refused)
    if operation.refused:
        raise Refusal(operation.refused)
    done = operation.state is State.SUCCEEDED
    envelope.status = 200 if done else 500
    errors = told.stderr
    if operation.message and not operation.quotes:
        errors = _with_line(errors, operation.message)
    if broken:
        sentence = f"The DAG '{request.get('dag_id')}': {broken}"
        errors = _with_line(errors, sentence)
        envelope.warnings.append(sentence)
    if request.endpoint.text_output:
        envelope.output = told.answer if done and told.answer else _last_line(errors)
        return
    envelope.airflow_cmd = work.airflow_cmd
    envelope.exit_code = operation.exit_code
    envelope.result = operation.result
    if operation.truncated:
        envelope.warnings.append(CUT)
    stdout = operation.stdout
    if not _is_log(request) and not _is_value(work):
        logged, fields = _fields_apart(work, stdout)
        envelope.warnings += [alarm[:LONGEST_ALARM] for alarm in alarms(logged)[:ALARMS]]
        if options.filter_loading_messages_in_cli_response:
            stdout = without_log_lines(logged) + fields
    if as_1x(options) and work.component is None:
        cut = operation.truncated and _GAP.search(operation.stdout) is not None
        if cut and not _changes(work) and request.endpoint.name in TEXTS and not _is_log(request):
            # A part of an answer would be taken for the whole; of stderr, a part will do.
            envelope.status, stdout = 500, ""
        else:
            stdout = _as_printed(envelope, request, work, operation, errors, root)
    envelope.output = {"stdout": stdout, "stderr": errors, "stdin": ""}


def _changes(work: Work) -> bool:
    """Return whether a work changes something: told that it failed, a client would have it done again."""
    return work.effect in (Effect.WRITE, Effect.DESTRUCTIVE)


def _as_printed(
    envelope: Envelope, request: Request, work: Work, operation: Operation, errors: str, root: str
) -> str:
    """Return what 1.10 would have printed, and put into the envelope what a client asks for next."""
    logged, fields = _fields_apart(work, operation.stdout)
    without_log = without_log_lines(logged) + fields
    printed = Printed(
        request,
        done=operation.state is State.SUCCEEDED,
        stdout=operation.stdout if _is_log(request) or _is_value(work) else without_log,
        stderr=errors,
        documents=[] if fields else list(documents(without_log)),
        host=operation.host,
        dags_folder=(configured("core", "dags_folder") or "") if request.given("report") else "",
    )
    envelope.more = more_of(printed, root)
    envelope.left_at = _in_the_second_of(envelope.more.get("logical_date"))
    return text(printed)


def _is_log(request: Request) -> bool:
    """Return whether the log is what the client asks for."""
    return request.endpoint.log_is_output and not request.given("dry_run")


def _is_value(work: Work) -> bool:
    """Return whether what is printed is one text of any content, which may look like a log."""
    return [one.command.name for one in work.invocations] in [[name] for name in SILENT]


def _fields_apart(work: Work, stdout: str) -> tuple[str, str]:
    """Return what was printed before the template fields of a task, and these: no line of them is a log's."""
    if not any(one.command.name == "tasks render" for one in work.invocations):
        return stdout, ""
    start = stdout.find(FIELD)
    return (stdout, "") if start < 0 else (stdout[:start], stdout[start:])


def _documents(stdout: str, done: bool) -> Any:
    found = list(documents(without_log_lines(stdout)))
    return found if len(found) > 1 else found[0] if found else None


def _in_the_second_of(logical_date: str | None) -> datetime | None:
    """
    Return when an answer is said to have left: in the second of the run that it made.

    Clients look for their run by that time, cut to seconds; the second may change before the answer leaves.
    """
    if logical_date is None:
        return None
    date = datetime.fromisoformat(logical_date)
    return date if date < datetime.now(timezone.utc) < date + PASSED else None


def _with_line(text: str, line: str) -> str:
    return text + ("\n" if text and not text.endswith("\n") else "") + line + "\n"


def _last_line(errors: str) -> str:
    lines = errors.strip().splitlines()
    return f"An error occurred: {lines[-1]}" if lines else "An error occurred"
