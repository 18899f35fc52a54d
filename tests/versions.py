"""What of the tests runs on every supported Airflow, and where these differ themselves."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

BLACK_BOX = (
    "tests/airflow/compat",
    "tests/commands/test_versions_of_airflow.py",
    "tests/security/test_matrix.py",
    "tests/security/test_real_simple.py",
    "tests/security/test_real_fab.py",
    "tests/legacy/test_replay.py",
    "tests/legacy/login/test_replay.py",
    "tests/dag_files/test_real.py",
    "tests/services/test_real.py",
    "tests/server",
    "tests/browser/test_commands.py",
)
"""
The part that sees the plugin from outside, or asks the installed Airflow something.

All commands once, the old endpoints with the recorded exchanges, permissions on both auth managers,
deployment, services, page and login.
"""


@dataclass(frozen=True)
class Difference:
    """
    Tests that do not hold on some versions, because these differ.

    :ivar below: the first minor version on which they hold
    :ivar tests: patterns of their ids
    :ivar reason: what differs
    """

    below: tuple[int, int]
    tests: tuple[str, ...]
    reason: str


LOG_OF_3_0 = "Airflow 3.0 writes the log of a task in the form of 1.10"
FAILED_DEPS = "`tasks failed-deps` of 3.0 asks its DAG for what that has not (`get_is_paused`)"
NO_REVOCATION = "Airflow remembers no token that was taken back before 3.2"

DIFFERENCES = (
    Difference((3, 1), ("tests/legacy/test_replay.py::*?norbac.task_failed_deps.*",), FAILED_DEPS),
    Difference((3, 1), ("tests/legacy/test_replay.py::*text?norbac.test.*",), LOG_OF_3_0),
    Difference(
        (3, 2),
        ("tests/security/test_real_simple.py::test_a_token_taken_back_by_signing_out_is_refused",),
        NO_REVOCATION,
    ),
    Difference(
        (3, 2),
        ("tests/legacy/test_replay.py::*answer?norbac.ok.cors_preflight.options?",),
        "before 3.2 Airflow's own middleware answers a preflight where no origin is configured",
    ),
    Difference(
        (3, 2),
        (
            "tests/legacy/test_replay.py::*text?norbac.backfill.real.get?",
            "tests/legacy/test_replay.py::*text?norbac.backfill.local.get?",
        ),
        "before 3.2 Airflow prints nothing of a backfill that it creates, as 1.x",
    ),
)


def differs(nodeid: str, version: tuple[int, int]) -> str | None:
    """Return why a test does not hold on a version, None where it does."""
    for one in DIFFERENCES:
        if version < one.below and any(fnmatch.fnmatchcase(nodeid, pattern) for pattern in one.tests):
            return one.reason
    return None
