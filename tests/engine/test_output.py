from __future__ import annotations

from airflow_rest_api.engine.output import Output


def test_everything_is_kept_up_to_the_limit():
    output = Output(10)
    for part in (b"01234", b"", b"56789"):
        output.add(part)

    assert output.data == b"0123456789"
    assert output.size == 10
    assert not output.truncated


def test_beyond_the_limit_head_and_tail_are_kept_and_the_gap_is_counted():
    output = Output(10)
    for number in range(100):
        output.add(b"%02d" % number)

    assert output.truncated
    assert output.size == 200
    assert output.text == "00010\n… 190 bytes left out …\n79899"


def test_a_piece_larger_than_the_limit_is_cut_in_the_middle():
    output = Output(6)
    output.add(b"abcdefghij")

    assert output.data.startswith(b"abc\n")
    assert output.data.endswith(b"\nhij")


def test_memory_stays_near_the_limit_whatever_the_size_of_the_pieces():
    output = Output(1000)
    for _ in range(10_000):
        output.add(b"x" * 7)

    assert len(output.data) < 1100
    assert output.size == 70_000


def test_bytes_that_are_no_text_are_shown_as_replacement_characters():
    output = Output(100)
    output.add(b"\xff\xfe fine")

    assert output.text == "�� fine"
