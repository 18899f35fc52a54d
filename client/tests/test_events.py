from __future__ import annotations

from airflow_rest_client.events import EventParser, Lines
from airflow_rest_client.model import Gap, Line, Output, Progress

from .conftest import event, output

STREAM = (
    output("a\n", number=1)
    + b": \n\n"
    + event("gap", {"stream": "stderr", "missing": 3})
    + output("é", number=2)
)


def test_events_are_whole_wherever_the_pieces_end():
    whole = list(EventParser().feed(STREAM))
    parser, cut = EventParser(), []
    for place in range(len(STREAM)):
        cut += list(parser.feed(STREAM[place : place + 1]))

    assert whole == cut == [Output("stdout", "a\n", 0), Gap("stderr", 3), Output("stdout", "é", 0)]
    assert parser.last_id == "2"


def test_a_result_that_comes_in_thousands_of_pieces_is_read_once():
    class Counted(bytearray):
        searched = 0

        def find(self, what: bytes, start: int) -> int:  # type: ignore[override]
            Counted.searched += len(self) - start
            return super().find(what, start)

        def split(self, by: bytes) -> list[bytearray]:  # type: ignore[override]
            Counted.searched += len(self)
            return super().split(by)

    whole = event("progress", {"step": "x" * 100_000})
    parser = EventParser()
    parser._buffer = Counted()
    found = [one for place in range(0, len(whole), 20) for one in parser.feed(whole[place : place + 20])]

    assert len(found) == 1
    assert len(whole) < Counted.searched < 3 * len(whole)


def test_what_a_broken_connection_cut_off_is_forgotten():
    parser = EventParser()
    assert list(parser.feed(output("a") + b"event: out")) == [Output("stdout", "a", 0)]
    parser.broken()

    assert list(parser.feed(output("b", number=2))) == [Output("stdout", "b", 0)]


def test_an_event_that_is_not_known_yet_is_passed_over():
    parser = EventParser()
    assert list(parser.feed(event("later", {"a": 1}, "7"))) == []
    assert parser.last_id == "7"
    assert list(parser.feed(event("progress", {"step": "ready"}))) == [Progress("ready", {"step": "ready"})]


def test_lines_are_made_of_each_stream_apart():
    lines = Lines()
    found = [
        *lines.feed(Output("stdout", "a\nb", 0)),
        *lines.feed(Output("stderr", "x\n", 0)),
        *lines.feed(Output("stdout", "c\nd", 3)),
        *lines.finish(),
    ]

    assert found == [Line("stdout", "a"), Line("stderr", "x"), Line("stdout", "bc"), Line("stdout", "d")]


def test_what_stands_on_both_sides_of_a_gap_is_no_line():
    lines = Lines()
    found = [
        *lines.feed(Output("stdout", "a\nbegun", 0)),
        *lines.feed(Gap("stderr", 3)),
        *lines.feed(Gap("stdout", 3)),
        *lines.feed(Output("stdout", "end\n", 10)),
        *lines.finish(),
    ]

    assert [line.text for line in found] == ["a", "begun", "end"]
