from __future__ import annotations

from typing import Any

import pytest

from airflow_rest_api.legacy.child import messages


@messages.ordered
def refusing(order: dict[str, Any]) -> None:
    print("half a line", end="")
    messages.warn("first")
    messages.warn('second\n"with" everything ü')
    raise messages.OrderRefused(f"no {order['what']}")


@messages.ordered
def answering(order: dict[str, Any]) -> int:
    messages.answer("done")
    return int(order["code"])


def test_what_a_child_tells_is_taken_out_of_its_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = refusing([messages.write({"what": "way"})])
    printed = capsys.readouterr()
    told = messages.read(f"before\n{printed.err}after\n")
    assert code == messages.REFUSED_EXIT_CODE
    assert printed.out == "half a line"
    assert told == messages.Messages(
        "before\nafter\n", refused="no way", warnings=["first", 'second\n"with" everything ü']
    )


def test_an_answer_and_the_exit_code_come_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert answering([messages.write({"code": 3})]) == 3
    assert messages.read(capsys.readouterr().err).answer == "done"


def test_a_line_without_the_key_of_the_order_is_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    refusing([messages.write({"what": "way"}, "k3y")])
    printed = capsys.readouterr().err
    forged = 'airflow-rest-api refused: "x"\nairflow-rest-api-k4y warning: "y"\n'
    told = messages.read(forged + printed, "k3y")
    assert (told.stderr, told.refused, len(told.warnings)) == (forged, "no way", 2)


def test_a_message_behind_an_unfinished_line_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    refusing([messages.write({"what": "way"}, "k3y")])
    told = messages.read(f"10%...{capsys.readouterr().err}", "k3y")
    assert (told.stderr, told.refused, told.warnings[0]) == ("10%...", "no way", "first")


def test_what_only_looks_like_a_message_is_no_message() -> None:
    text = 'x airflow-rest-api refused: "a"\nairflow-rest-api other: "b"\nairflow-rest-api warning: b\n'
    assert messages.read(text) == messages.Messages(text)


def test_what_the_code_of_a_dag_writes_in_place_of_messages_is_bounded() -> None:
    line = "airflow-rest-api-key {kind}: {text}\n"
    many = "".join(line.format(kind="warning", text=f'"number {number}"') for number in range(5000))
    long = line.format(kind="answer", text='"' + "x" * 500_000 + '"')
    odd = line.format(kind="refused", text=r'"half a \ud800 pair"')
    told = messages.read(many + long + odd, "key")

    assert told.warnings == [f"number {number}" for number in range(messages.MOST_WARNINGS)]
    assert told.answer == "x" * messages.LONGEST
    assert told.refused == "half a ? pair"
    assert told.stderr == ""
