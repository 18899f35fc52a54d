"""The measurements beside the goals, in words: what is slow is said, and fails nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.beside import Beside
from bench.bundles import Bundle, gain, growth
from bench.figures import Samples, differences, ms
from bench.load import Comparison
from bench.processor import Cost
from bench.rows import MANY
from bench.runners import Added, Work

LIKE_OWN = ("variables get", "pools list", "connections list", "dags pause", "dags trigger")
TIMES_OWN = 1.3
AS_FAST = 2
"""So many of them are to be as fast as Airflow's own REST API."""
RUNNER_ADDS = 0.040
TWICE = 1.8
"""As near to twice as the beginning and the end of such a measurement leave."""
EMPTY = ("version", "config get-value")
TIMES_VERSION = 2.0
"""At most 6 ms where Airflow's own `version` takes 3."""
SPEEDUP = 150.0
TIMES_REQUESTS = 3.0
PROCESSOR = ("variables get", 0.015)
TIMES_BESIDE = 2.0
GROWTH = 1.5
GAIN = 50.0


def verdict(met: bool, text: str) -> str:
    """Return a line that says whether a goal was met."""
    return f"* {'met' if met else 'MISSED'}: {text}"


def at_most(what: str, ratio: float, limit: float, of: str) -> str:
    """Return the line of a ratio that must not be larger."""
    return verdict(ratio <= limit, f"{what} {ratio:.2f} times {of} (at most {limit:g})")


def at_least(what: str, ratio: float, limit: float, of: str) -> str:
    """Return the line of a ratio that must not be smaller."""
    return verdict(ratio >= limit, f"{what} {ratio:.2f} times {of} (at least {limit:g})")


def of_rows(rows: Sequence[Samples]) -> Iterator[str]:
    """Yield the lines of the main table."""
    by_name = {row.name: row for row in rows}
    ratios = {
        name: by_name[name].times_own for name in LIKE_OWN if name in by_name and by_name[name].times_own
    }
    for name, ratio in ratios.items():
        yield at_most(name, ratio or 0.0, TIMES_OWN, "Airflow's own REST API")
    if len(ratios) == len(LIKE_OWN):
        fast = [name for name, ratio in ratios.items() if (ratio or 0.0) <= 1.0]
        text = f"as fast as Airflow's own REST API: {', '.join(fast) or 'none'} (at least {AS_FAST} of these)"
        yield verdict(len(fast) >= AS_FAST, text)
    if "version" in by_name and (own := by_name["version"].own):
        for name in EMPTY:
            if name in by_name:
                row = by_name[name]
                text = f"{name} {ms(median(row.rest))} ms:"
                yield at_most(text, median(row.rest) / median(own), TIMES_VERSION, "Airflow's own version")
    if speedups := [row.speedup for row in rows if row.speedup is not None]:
        yield at_least("median of the rows", median(speedups), SPEEDUP, "faster than a new process")


def of_loads(loads: Sequence[Comparison], second: str) -> Iterator[str]:
    """Yield the lines of the table with many clients; `second` is what the second server is called."""
    for load in loads:
        if load.clients == MANY and load.second is not None and load.second.rate:
            ratio = load.rest.rate / load.second.rate
            what = f"{load.name}, {MANY} clients:"
            yield at_least(what, ratio, TIMES_REQUESTS, f"the requests a second of {second}")


def of_costs(costs: Sequence[Cost]) -> Iterator[str]:
    """Yield the lines of the processor time."""
    name, limit = PROCESSOR
    for cost in costs:
        if cost.name == name:
            text = f"{name} takes {ms(cost.rest.total)} ms of processor time (at most {ms(limit)})"
            yield verdict(cost.rest.total <= limit, text)


def of_beside(found: Sequence[Beside]) -> Iterator[str]:
    """Yield the line of Airflow's own route beside commands; the first measurement is the route alone."""
    if len(found) > 1:
        what = f"GET /api/v2/version {found[1].name}, 95th percentile:"
        yield at_most(what, found[1].high / found[0].high, TIMES_BESIDE, "that without them")


def of_bundles(found: Sequence[Bundle]) -> Iterator[str]:
    """Yield the lines of the bundles, the smallest of which comes first."""
    for command in found[0].rest if found else ():
        few, many = found[0].files, found[-1].files
        what = f"{command} among {many:,} files:"
        yield at_most(what, growth(found, command), GROWTH, f"that among {few:,}")
        if (ratio := gain(found[-1], command)) is not None:
            yield at_least(what, ratio, GAIN, "faster than the command line")


def of_runners(added: Sequence[Added], work: Work) -> Iterator[str]:
    """Yield the lines of what a runner adds, and of twice as many runners."""
    for row in added:
        adds = median(differences(row.there, row.here))
        text = f"a runner adds {ms(adds)} ms to {row.name} (at most {ms(RUNNER_ADDS)})"
        yield verdict(adds <= RUNNER_ADDS, text)
    yield at_least("two runners do", work.one / work.two, TWICE, "the work of one")
