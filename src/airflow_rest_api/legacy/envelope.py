"""The JSON document that answers every request to a 1.x endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.masking import masked_text
from airflow_rest_api.secret_names import MASK, is_secret, value_is_secret

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Operation

_ADDRESSES = frozenset({"broker_api", "conn_uri"})
"""Secret, but for the host."""
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/?#\s]*(?=@)")


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

    def ran(self, operation: Operation) -> None:
        """Name the operation of a command that ran, or runs."""
        self.operation_id = operation.id

    def document(self, now: datetime | None = None) -> dict[str, Any]:
        """Return the envelope's JSON object; `now` is when the answer leaves."""
        document: dict[str, Any] = {
            "airflow_cmd": self.airflow_cmd,
            "arguments": None if self.arguments is None else masked(self.arguments),
            "post_arguments": None if self.post_arguments is None else masked(self.post_arguments),
            "call_time": http_date(self.call_time),
            "response_time": http_date(now or self.left_at or datetime.now(timezone.utc)),
            "http_response_code": self.status,
            "status": "OK" if self.status < 400 else "ERROR",
            "output": self.output,
            "warning": ". ".join(dict.fromkeys(text.rstrip(".") for text in self.warnings)) or None,
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


def mask_texts(texts: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Return texts with the secret ones among a request's values masked: a parser quotes what it refuses."""
    found = {value for name, value in values.items() if value and is_secret(name)}
    secrets = sorted(found, key=len, reverse=True)
    result = []
    for text in texts:
        for secret in secrets:
            text = text.replace(secret, MASK)
        result.append(text)
    return result


def _masked(name: str, value: Any, *, secret: bool) -> Any:
    if value is None or value == "":
        return value
    if name in _ADDRESSES and isinstance(value, str) and "://" in value:
        # Airflow takes passwords with `@` and `/` in them; what follows `?` is the extra field.
        scheme, _, rest = value.partition("://")
        _, at, host = rest.rpartition("@")
        return f"{scheme}://{MASK if at else ''}{at}{host}".partition("?")[0]
    if secret or is_secret(name):
        return MASK
    return masked_text(_USER_IN_ADDRESS.sub(MASK, value)) if isinstance(value, str) else value
