"""The JSON document that answers a request to a 1.x endpoint, and what it says of what was printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.installation import configured
from airflow_rest_api.commands import policy
from airflow_rest_api.commands.masking import masked_text
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.child import messages
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.legacy.model import StartService
from airflow_rest_api.legacy.printed import FIELD, Printed, masked_address, more_of, printed_text
from airflow_rest_api.operations.model import State
from airflow_rest_api.operations.result import SILENT, alarms, documents, whole_log, without_log_lines
from airflow_rest_api.operations.work_orders import Reading
from airflow_rest_api.secret_names import MASK, is_secret, shortest_secret, value_is_secret

if TYPE_CHECKING:
    from airflow_rest_api.errors import ApiError
    from airflow_rest_api.legacy.model import LegacyRequest, LegacyWork, RunChild
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.settings import Settings

SECRET_ARGUMENTS = {
    argument.name for endpoint in ENDPOINTS for argument in endpoint.arguments if argument.secret
}

ALARMS = 10
LONGEST_ALARM = 500
"""Warnings and errors of a command's log that an answer repeats, and characters of one."""

CUT = "The output was cut at [rest_api_plugin] output_limit"
_GAP = re.compile(r"^… \d+ bytes left out …$", re.MULTILINE)
"""What stands for output that was let go."""

PASSED = timedelta(seconds=60)
"""Longer than any answer to `trigger_dag` takes whose client looks for its run by the time of the answer."""

_ADDRESSES = frozenset({"broker_api", "conn_uri"})
"""Secret, but for the host."""
# In JSON without blanks, a quotation mark ends it.
_USER_IN_ADDRESS = re.compile(r'(?<=://)[^/?#\s"]*(?=@)')


@dataclass
class Envelope:
    """
    One answer.

    :ivar output: a string, or stdout and stderr of the command that ran
    :ivar dag_ids: the DAGs of the files that were deployed
    :ivar arguments: None where the contract's answer has none (a wrong header token)
    :ivar result: what the command printed, parsed, as the operation has it
    :ivar more: keys that some endpoints have: `dag_run_id`, `logical_date`, `dag_run_url`, `state`
    :ivar left_at: when the answer left, where that is not now
    """

    status: int
    output: str | dict[str, str]
    call_time: datetime
    arguments: Mapping[str, Any] | None = None
    post_arguments: Mapping[str, Any] | None = None
    airflow_cmd: str | None = None
    warnings: list[str] = field(default_factory=list)
    exit_code: int | None = None
    operation_id: str | None = None
    result: Any = None
    more: dict[str, Any] = field(default_factory=dict)
    left_at: datetime | None = None
    dag_ids: list[str] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def refuse(self, error: ApiError) -> None:
        """Say why nothing was done."""
        self.status, self.output, self.headers = error.status, error.message, error.headers

    def document(self) -> dict[str, Any]:
        """Return the envelope's JSON object."""
        document: dict[str, Any] = {
            "airflow_cmd": self.airflow_cmd,
            "arguments": None if self.arguments is None else masked(self.arguments),
            "post_arguments": None if self.post_arguments is None else masked(self.post_arguments),
            "call_time": http_date(self.call_time),
            "response_time": http_date(self.left_at or datetime.now(timezone.utc)),
            "http_response_code": self.status,
            "status": "OK" if self.status < 400 else "ERROR",
            "output": self.output,
            "warning": _sentences(self.warnings) or None,
            "exit_code": self.exit_code,
            "operation_id": self.operation_id,
            "result": self.result,
            **self.more,
            "dag_ids": self.dag_ids,
        }
        return {key: value for key, value in document.items() if value is not None}


def http_date(moment: datetime) -> str:
    """Return a moment as RFC 1123 GMT; the 1.x plugin labelled local time so."""
    return format_datetime(moment.astimezone(timezone.utc), usegmt=True)


def masked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client sent without the secrets in it: the answer ends up in logs."""
    # A key that came elsewhere in the request is not known here.
    secret_variable = value_is_secret(arguments.get("key"))
    return {
        name: _masked(name, value, secret=name == "value" and secret_variable)
        for name, value in arguments.items()
    }


def mask_secrets(text: str, values: Mapping[str, str]) -> str:
    """
    Return a text with the secret ones among a request's values masked: a parser quotes what it refuses.

    Short values of names that no endpoint knows are left: they would take letters out of every answer.
    """
    shortest = shortest_secret()
    secrets = {
        value
        for name, value in values.items()
        if value and is_secret(name) and (name in SECRET_ARGUMENTS or len(value) >= shortest)
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def as_1x(settings: Settings) -> bool:
    """Return whether stdout has what 1.10 printed."""
    return settings.legacy_output == "1.10"


def reading_of(request: LegacyRequest, work: RunChild) -> Reading:
    """Return how a work's result is read: as that of its one command, or as the JSON in its output."""
    if not request.endpoint.has_result:
        return Reading()
    only = work.invocations[0] if work.invocations and len(work.attempts) == 1 else None
    return Reading(only, documents=True)


def fill(
    envelope: Envelope,
    request: LegacyRequest,
    work: LegacyWork,
    operation: Operation,
    settings: Settings,
    root: str,
    key: str = "",
    broken: str | None = None,
) -> None:
    """
    Put what came of an operation into an envelope; where that `is_long`, in a thread.

    :param root: the path under which the client sees Airflow
    :param key: by which the messages of the work's child are known
    :param broken: the import error of the file of the request's DAG
    :raises Refusal: the child refused the request; nothing was done
    """
    envelope.operation_id = operation.id
    if not operation.state.ended:
        envelope.status = 202
        envelope.airflow_cmd = work.airflow_cmd
        envelope.output = _streams("", "")
        return
    found = messages.read(operation.stderr, key)
    envelope.warnings += found.warnings
    if found.refused is not None and operation.exit_code == messages.REFUSED_EXIT_CODE:
        unknown = found.refused == messages.unknown_dag(request.get("dag_id") or "")
        raise Refusal(f"{found.refused}: {broken}" if broken and unknown else found.refused)
    if operation.refused:
        raise Refusal(operation.refused)
    done = operation.state is State.SUCCEEDED
    envelope.status = 200 if done else 500
    errors = found.stderr
    if as_1x(settings) and not isinstance(work, StartService):
        # Before Airflow 3.2 its loggers, or Python's warnings, are there, and clients want an empty one.
        if not _is_log(request):
            envelope.warnings += _alarms(errors)
        errors = without_log_lines(errors)
    if operation.message and not operation.quotes:
        errors = _with_line(errors, operation.message)
    if broken:
        sentence = f"The DAG '{request.get('dag_id')}': {broken}"
        errors = _with_line(errors, sentence)
        envelope.warnings.append(sentence)
    if request.endpoint.text_output:
        envelope.output = found.answer if done and found.answer else _last_line(errors)
        return
    envelope.airflow_cmd = work.airflow_cmd
    envelope.exit_code = operation.exit_code
    envelope.result = operation.result
    if operation.truncated:
        envelope.warnings.append(CUT)
    envelope.output = _streams(_stdout(envelope, request, work, operation, errors, settings, root), errors)


def _stdout(
    envelope: Envelope,
    request: LegacyRequest,
    work: LegacyWork,
    operation: Operation,
    errors: str,
    settings: Settings,
    root: str,
) -> str:
    """Return what a client reads as standard output; its warnings, and its keys, go into the envelope."""
    is_log = _is_log(request)
    # One text of any content, which may look like a log, also where more is done behind it: a value that is
    # deleted in the same request is nowhere else any more.
    is_value = not SILENT.isdisjoint(work.commands)
    logged, fields = _fields_apart(work, operation.stdout)
    clean = without_log_lines(logged) + fields
    if not is_log and not is_value:
        envelope.warnings += _alarms(logged)
    raw = operation.stdout if is_log or is_value else clean
    if not as_1x(settings) or isinstance(work, StartService):
        return raw if settings.filter_loading_messages_in_cli_response else operation.stdout
    cut = operation.truncated and _GAP.search(operation.stdout) is not None
    # Of a change, a client that reads of a failure would have it done again.
    changes = any(effect in (Effect.WRITE, Effect.DESTRUCTIVE) for effect in _effects(work))
    if cut and not changes and request.endpoint.prints and not is_log:
        # A part of an answer would be taken for the whole; of stderr, a part will do.
        envelope.status = 500
        return ""
    printed = Printed(
        request,
        done=operation.state is State.SUCCEEDED,
        stdout=whole_log(raw, operation.stderr) if is_log else raw,
        stderr=errors,
        documents=[] if fields else list(documents(clean)),
        host=operation.host,
        dags_folder=(configured("core", "dags_folder") or "") if request.given("report") else "",
        ended=operation.exit_code is not None,
    )
    envelope.more = more_of(printed, root)
    envelope.left_at = _in_the_second_of(envelope.more.get("logical_date"))
    return printed_text(printed)


def _effects(work: LegacyWork) -> list[Effect]:
    """Return what a work does, also where the installed Airflow parses DAG files for it."""
    rules = (policy.COMMANDS.get(name) for name in work.commands)
    return [work.recorded.effect, *(rule.effect for rule in rules if rule is not None)]


def _is_log(request: LegacyRequest) -> bool:
    """Return whether the log of the command is what the client asked for."""
    return request.endpoint.log_is_output and not request.given("dry_run")


def _alarms(text: str) -> list[str]:
    return [alarm[:LONGEST_ALARM] for alarm in alarms(text)[:ALARMS]]


def _streams(stdout: str, stderr: str) -> dict[str, str]:
    return {"stdout": stdout, "stderr": stderr, "stdin": ""}


def _fields_apart(work: LegacyWork, stdout: str) -> tuple[str, str]:
    """Return what was printed before the template fields of a task, and these: no line of them is a log's."""
    first = FIELD.search(stdout) if "tasks render" in work.commands else None
    return (stdout, "") if first is None else (stdout[: first.start()], stdout[first.start() :])


def _masked(name: str, value: Any, *, secret: bool) -> Any:
    if value is None or value == "":
        return value
    if name in _ADDRESSES and isinstance(value, str):
        return masked_address(value)
    if secret or is_secret(name):
        return MASK
    if isinstance(value, dict):
        return {key: _masked(key, item, secret=False) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked("", item, secret=False) for item in value]
    return masked_text(_USER_IN_ADDRESS.sub(MASK, value)) if isinstance(value, str) else value


def _in_the_second_of(logical_date: str | None) -> datetime | None:
    """
    Return when an answer leaves by its own account: in the second of the run that it made.

    Clients look for their run by that time, cut to seconds; the second may change before the answer leaves.
    """
    if logical_date is None:
        return None
    date = datetime.fromisoformat(logical_date)
    return date if date < datetime.now(timezone.utc) < date + PASSED else None


def _sentences(warnings: list[str]) -> str:
    """Return warnings as one text, each once; it ends as the last one does."""
    text = ". ".join(dict.fromkeys(text.rstrip(".") for text in warnings))
    return f"{text}." if warnings and warnings[-1].endswith(".") else text


def _with_line(text: str, line: str) -> str:
    return text + ("\n" if text and not text.endswith("\n") else "") + line + "\n"


def _last_line(errors: str) -> str:
    lines = errors.strip().splitlines()
    return f"An error occurred: {lines[-1]}" if lines else "An error occurred"
