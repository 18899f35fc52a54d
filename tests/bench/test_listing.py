from __future__ import annotations

import pytest

from bench.listing import PAGES, RARE, operations, table
from demo.ports import free_port


@pytest.mark.slow
def test_every_page_is_measured_among_few_and_among_many() -> None:
    said: list[str] = []
    found = table("", 2000, 2, said.append)

    assert found is not None
    lines = found.splitlines()
    assert "of 1,000 ms" in lines[0]
    assert "of 2,000 ms" in lines[0]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [page.name for page in PAGES]
    assert said


def test_without_a_server_there_is_no_table() -> None:
    assert table(f"postgresql+psycopg2://postgres@127.0.0.1:{free_port()}/postgres", 1, 1, print) is None


@pytest.mark.slow
def test_the_ids_sort_as_the_operations_were_made_and_few_are_rare() -> None:
    made = list(operations(0, 2 * RARE))
    assert [each["id"] for each in made] == sorted(each["id"] for each in made)
    assert sum(each["command"] == "rare" for each in made) == 2
    assert sum(each["state"] == "running" for each in made) == 2
