from __future__ import annotations

import pytest

from airflow_rest_api.multipart import Ending

TYPE = "multipart/form-data; boundary=XX"
WHOLE = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX--\r\n'


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_whole_body_is_complete_in_whatever_pieces_it_comes(size: int):
    ending = Ending(TYPE)
    for start in range(0, len(WHOLE), size):
        ending.add(WHOLE[start : start + size])

    assert ending.complete


def test_a_body_that_was_cut_off_is_not():
    for length in range(len(WHOLE) - 3):
        ending = Ending(TYPE)
        ending.add(WHOLE[:length])

        assert not ending.complete


def test_a_quoted_boundary_and_what_follows_the_last_one_do_no_harm():
    ending = Ending('multipart/form-data; charset=utf-8; boundary="XX"')
    ending.add(WHOLE + b"epilogue")

    assert ending.complete
