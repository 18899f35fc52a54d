"""Requests made up from the OpenAPI document, right ones and wrong ones, as an administrator."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
EXAMPLES = 3
RUN = ("Effect: read.", "Effect: write.")
"""What may run: the other commands start components, run code, or lose the database."""
NOT_RUN = {
    "/v2/run",  # could run any of the others
    "/api",  # likewise
    "/v2/commands/config/update",  # rewrites the server's own configuration
}
STARTS = "POST /v2/services"
"""A right one starts a component, and the document has an example of one."""


@pytest.fixture(scope="module")
def document(attacked: Stack, admin: Client) -> Any:
    # The address of the test's server is no business of a proxy.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"
    load_all_checks()
    url = f"{attacked.url}/admin/rest_api/openapi.json"
    return schemathesis.openapi.from_url(url, headers={"Authorization": admin.headers["Authorization"]})


def operations(document: Any) -> Iterator[Any]:
    for found in document.get_all_operations():
        operation = found.ok()
        runs = operation.method == "post" and operation.path.startswith("/v2/commands/")
        if operation.path in NOT_RUN:
            continue
        if runs and not operation.definition.raw["description"].count("Effect: "):
            raise AssertionError(f"{operation.path} does not say its effect")
        if runs and not any(words in operation.definition.raw["description"] for words in RUN):
            continue
        yield operation


def is_unserved(response: Any) -> bool:
    """Return whether a queue was named that no runner serves, which is rightly 503."""
    return response.status_code == 503 and response.json()["detail"]["reason"] == "no_runner"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_is_answered_with_what_is_not_documented(
    document: Any, admin: Client, mode: schemathesis.GenerationMode
) -> None:
    headers = {"Authorization": admin.headers["Authorization"]}
    statuses: Counter[int] = Counter()
    wrong: list[str] = []

    def attack(operation: Any) -> None:
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            # A path with dots in it can lead out of the app, to Airflow's own answers.
            if any(set(str(value)) <= {".", "/"} for value in (case.path_parameters or {}).values()):
                return
            response = case.call(headers=headers, timeout=60)
            names = list(CHECKED)
            if is_unserved(response):
                names.remove("not_a_server_error")
            else:
                statuses[response.status_code] += 1
            try:
                case.validate_response(response, checks=CHECKS.get_by_names(names))
            except FailureGroup as group:
                wrong.extend(f"{operation.label}: {error}" for error in group.exceptions)

        send()

    for operation in operations(document):
        if mode is not schemathesis.GenerationMode.POSITIVE or operation.label != STARTS:
            attack(operation)

    assert not wrong, "\n\n".join(wrong[:10])
    assert statuses.total() > 300
    assert statuses.keys() <= {200, 202, 400, 401, 403, 404, 409, 413, 415, 429}


def test_every_answer_of_the_last_resort_is_in_the_document(document: Any) -> None:
    """A 500 is documented everywhere, so that `status_code_conformance` alone would let one pass."""
    raw = json.loads(json.dumps(document.raw_schema))
    assert raw["paths"]
    for path in raw["paths"].values():
        for operation in path.values():
            assert {"401", "403", "500"} <= operation["responses"].keys()
