"""Record anew what Airflow's own command line prints; say what differs from the record, or take it over."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence

from demo.stack import Stack
from tests.parity import record
from tests.parity.running import (
    DAGS,
    ENVIRONMENT,
    RECORDED,
    End,
    Ends,
    Plain,
    comparable,
    folder_of_one_length,
    know_the_dags,
    run_lanes,
)
from tests.parity.script import LANES


def main(options: Sequence[str]) -> int:
    """
    Run the script, each line as a new process; return 1 where that ends otherwise than the record says.

    :param options: `--write` keeps what was found
    """
    found = run()
    try:
        kept = record.read()
    except FileNotFoundError:
        print(f"There is no {record.RECORD.name} yet")
        kept = {}
    except record.Stale as stale:
        print(stale)
        kept = {}
    differing = list(differences(kept, found))
    print(*differing, sep="\n", end="\n" if differing else "")
    if "--write" in options:
        record.write(found)
        print(f"{record.RECORD.name} is written")
        return 0
    print("The record is right" if kept and not differing else f"The record is not right: {record.HOW_TO}")
    return int(not kept or bool(differing))


def run() -> Ends:
    """Return how each line ends on an Airflow of its own."""
    with (
        folder_of_one_length() as folder,
        Stack(folder / "same", components=(), dags=DAGS, env=ENVIRONMENT) as stack,
    ):
        know_the_dags(stack)
        return run_lanes(lambda lane: Plain(stack, folder / lane), RECORDED)


def differences(kept: Ends, found: Ends) -> Iterator[str]:
    """Yield the lines that tell how a run differs from the record."""
    for (lane, number), before in kept.items():
        line = LANES[lane][number]
        was, comes = (_text(comparable(line, end)) for end in (before, found[lane, number]))
        yield from difflib.unified_diff(was, comes, f"record: {line}", f"now: {line}", lineterm="", n=1)


def _text(end: End) -> list[str]:
    files = [f"{name}: {row}" for name, text in end.files.items() for row in text.splitlines()]
    return [f"exit code {end.exit_code}", *end.stdout.splitlines(), *end.stderr.splitlines(), *files]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
