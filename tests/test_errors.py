from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import airflow_rest_api
from airflow_rest_api.asgi import error_response
from airflow_rest_api.errors import LONGEST, ApiError, BadRequest
from airflow_rest_api.settings import OPTIONS
from tests.sources import nodes
from tools import error_docs

SOURCE = Path(airflow_rest_api.__file__).parent


def test_an_error_does_not_repeat_megabytes_of_what_it_is_about() -> None:
    error = BadRequest("invalid: " + "a" * 10**6, argument="b" * 10**6, nearest=["c"])

    assert len(error_response(error).body) < 3 * LONGEST
    assert error.detail["message"].startswith("invalid: aaa")
    assert error.detail["message"].endswith("(1000009 characters)")
    assert error.detail["nearest"] == ["c"]
    assert ApiError("a" * LONGEST).detail["message"] == "a" * LONGEST


def test_an_error_can_be_sent_whatever_it_is_about() -> None:
    error = BadRequest("a \ud800", argument="\udfff", report={"b": ["\ud800"]})
    detail = json.loads(error_response(error).body)["detail"]

    assert (detail["message"], detail["argument"]) == ("a \\ud800", "\\udfff")
    assert detail["report"] == {"b": ["\ud800"]}


def test_the_page_of_the_errors_is_current() -> None:
    page = error_docs.PAGE.read_text(encoding="utf-8")
    assert page == error_docs.with_table(page), "run: python -m tools.error_docs"


def test_no_reason_has_two_statuses() -> None:
    found = {(kind.reason, kind.status) for kind in error_docs.kinds()}
    assert len(found) == len({reason for reason, _ in found})
    assert all(inspect.getdoc(kind) for kind in error_docs.kinds())


def test_every_reason_that_stands_in_the_code_stands_in_the_document() -> None:
    page = error_docs.PAGE.read_text(encoding="utf-8")
    found = {reason for path in SOURCE.rglob("*.py") for reason in literal_reasons(path)}
    # What closes a WebSocket is a sentence.
    reasons = {reason for reason in found if " " not in reason}
    assert len(reasons) > 50
    assert not {reason for reason in reasons if f"| `{reason}` |" not in page}


def test_what_is_not_there_is_always_unknown() -> None:
    found = {kind.reason for kind in error_docs.kinds() if kind.status == 404}
    assert all(reason.startswith("unknown_") for reason in found - {"not_found", "no_log"})


def test_an_option_that_an_error_or_a_message_names_is_one() -> None:
    told = " ".join(inspect.getdoc(kind) or "" for kind in error_docs.kinds())
    # Members of an error are single words.
    found = set(re.findall("`([a-z]+(?:_[a-z]+)+)`", told))
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r"\[rest_api_plugin\] ([a-z]\w*)", node.value))
            elif isinstance(node, ast.keyword) and node.arg == "option":
                found.update(re.findall(r"'(\w+)'", ast.unparse(node.value)))
    assert {"body_timeout", "queue_per_user", "output_limit"} <= found
    assert found - {option.name for option in OPTIONS} == set()


def literal_reasons(path: Path) -> Iterator[str]:
    """Yield the reasons that a module spells out, whatever it does with them."""
    for node in nodes(path):
        if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = isinstance(key, ast.Constant) and key.value == "reason"
                if named and isinstance(value, ast.Constant):
                    yield str(value.value)


def test_an_error_that_is_raised_without_words_has_some_of_its_own() -> None:
    wordless, kinds = set(), [ApiError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        takes_nothing = "__init__" in vars(kind) and not kind.message
        if not kind.message and not takes_nothing:
            wordless.add(kind.__name__)
    raised = {
        node.exc.id
        for path in SOURCE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name)
    }
    assert raised & wordless == set()
