"""What of the tests runs on every supported Airflow, and where these differ themselves."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass


def _of(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"{file}::{test}" for test in tests)


ON_EACH = (
    "tests/test_settings.py",
    "tests/test_plugin.py::test_airflow_shows_no_secret_of_ours_where_the_plugin_is_no_installed_package",
    # They have another SQLAlchemy.
    "tests/storage/test_database.py",
    "tests/operations/test_rows.py",
    "tests/operations/test_store.py",
    "tests/airflow/compat",
    *_of(
        "tests/airflow/child/test_clearing.py",
        "test_the_dags_of_an_expression_are_cleared",
        "test_a_dag_is_cleared_as_it_is_stored_wherever_its_file_is",
    ),
    "tests/airflow/child/test_task_test.py",
    "tests/commands/test_versions_of_airflow.py",
    "tests/security/test_matrix.py",
    "tests/security/test_real_simple.py",
    "tests/security/test_real_fab.py",
    "tests/legacy/test_answer.py::test_what_was_changed_did_not_fail_because_its_answer_is_too_long",
    "tests/legacy/test_replay.py",
    "tests/legacy/login/test_replay.py",
    "tests/dag_files/child",
    "tests/dag_files/test_real.py",
    # What Airflow's components do; who starts and finds them is the same on all versions.
    *_of(
        "tests/services/test_real.py",
        "test_a_worker_executes_the_task_that_a_scheduler_has_scheduled_all_started_here",
        "test_flower_answers_on_its_port_and_its_password_is_nowhere",
        "test_the_ticket_renewer_gets_a_ticket_and_renews_it",
        "test_the_log_server_serves_what_a_task_has_said",
    ),
    "tests/client/test_python.py",
    "tests/client/test_airflow.py",
    "tests/runners/test_command.py",
    "tests/runners/test_worker.py",
    # Before what runs every command on the same Airflow, and leaves it so. A browser does with what a server
    # answers the same on all versions: what each has a part in is whether it answers.
    *_of(
        "tests/browser/test_commands.py",
        "test_a_command_is_found_by_its_name_its_help_and_its_arguments",
        "test_each_role_sees_what_it_may",
        "test_what_executes_asks_before_and_names_what_it_will_do",
        "test_a_file_is_dropped_and_another_one_comes_back",
        "test_an_old_endpoint_is_called_with_its_form",
    ),
    "tests/browser/test_sessions.py",
    "tests/server/test_all_commands.py",
    "tests/server/test_commands.py",
    # The zip; everything else has the wheel.
    *_of(
        "tests/dist/test_standalone.py",
        "test_every_paste_of_the_readme_works[zip]",
        "test_after_all_of_it_the_log_is_clean[zip]",
        "test_uninstall_is_refused_while_the_server_runs_and_then_leaves_nothing[zip]",
    ),
)
"""
What sees the plugin from outside, or asks the installed Airflow something, and runs on each version.

All commands once, the old endpoints with the recorded exchanges, permissions on both auth managers,
deployment, components, page and login; the zip; the client for Python, and its operator in that Airflow; a
runner.
"""

BLACK_BOX = (
    *ON_EACH,
    # Several servers on one database.
    "tests/services/test_real.py::test_another_api_server_knows_the_same_services",
    "tests/server/test_operations.py",
)
"""What runs on the newest version with each database, as far as that has a part in it."""


@dataclass(frozen=True)
class Site:
    """
    An Airflow on which the black-box part runs, beside the one on which everything does.

    :ivar airflow: its minor version, `3.1`
    :ivar database: Airflow's own, a kind of `tests.databases`
    :ivar places: the tests that run there
    :ivar topology: of the demo: see `demo.split`
    """

    airflow: str
    database: str = "sqlite"
    places: tuple[str, ...] = ON_EACH
    topology: str = "single"

    @property
    def name(self) -> str:
        """Its name on a command line and in what is printed: `3.3-mariadb`, `3.3-split`."""
        more = [one for one in (self.database, self.topology) if one not in ("sqlite", "single")]
        return "-".join((self.airflow, *more))


_WITHOUT_DATABASE = (
    "tests/test_settings.py",
    "tests/test_plugin.py",
    # What of users and tokens is looked up has tests of its own on each database.
    "tests/security",
    *_of(
        "tests/services/test_real.py",
        "test_flower_answers_on_its_port_and_its_password_is_nowhere",
        "test_the_ticket_renewer_gets_a_ticket_and_renews_it",
        "test_the_log_server_serves_what_a_task_has_said",
    ),
    "tests/storage",
    "tests/operations",
    "tests/airflow",
    "tests/commands",
    "tests/browser",
    "tests/dist",
    "tests/client",
    # They are on PostgreSQL as well, and on SQLite: `test_strain`.
    "tests/runners",
)
OF_A_DATABASE = tuple(place for place in BLACK_BOX if not place.startswith(_WITHOUT_DATABASE))
"""Of the black-box part, what another database than SQLite has a part in."""

OF_A_TOPOLOGY = (
    "tests/security/test_matrix.py",
    "tests/legacy/test_replay.py",
    "tests/dag_files/child",
    "tests/dag_files/test_real.py",
    *_of(
        "tests/services/test_real.py",
        "test_a_worker_executes_the_task_that_a_scheduler_has_scheduled_all_started_here",
        "test_the_log_server_serves_what_a_task_has_said",
    ),
    "tests/client/test_python.py",
)
"""Of the black-box part, what it matters to where something runs: commands, old contract, deployment."""

NEWEST = "3.3"
"""The version on which everything runs, on SQLite."""

SITES = (
    Site("3.0"),
    Site("3.1"),
    Site("3.2"),
    Site(NEWEST, "postgresql", OF_A_DATABASE),
    Site(NEWEST, "mariadb", OF_A_DATABASE),
    Site(NEWEST, places=OF_A_TOPOLOGY, topology="split"),
)


@dataclass(frozen=True)
class Difference:
    """
    Tests that do not hold on some versions, or with a database, because these differ.

    :ivar below: the first minor version on which they hold; None where the version has no part in it
    :ivar tests: patterns of their ids
    :ivar reason: what differs
    :ivar database: the kind with which they do not hold, None for all
    """

    below: tuple[int, int] | None
    tests: tuple[str, ...]
    reason: str
    database: str | None = None


LOG_OF_3_0 = "Airflow 3.0 writes the log of a task in the form of 1.10"
NO_REVOCATION = "Airflow remembers no token that was taken back before 3.2"

NO_SCHEDULER = "Airflow's scheduler ends on MariaDB, which knows no WITH before a DELETE (asset_active)"

DIFFERENCES = (
    Difference(
        None,
        (
            "tests/services/test_real.py::test_a_worker_executes_the_task_that_a_scheduler_has_scheduled_*",
            "tests/legacy/test_replay.py::*?norbac.err.scheduler_unknown_dag.*",
        ),
        NO_SCHEDULER,
        database="mariadb",
    ),
    Difference(
        (3, 1),
        ("tests/browser/test_sessions.py::test_in_airflows_frame_*",),
        "Airflow 3.0 has no place in its own pages for the page of a plugin",
    ),
    Difference(
        (3, 1),
        ("tests/client/test_airflow.py::*?deferred?",),
        "on Airflow 3.0 `tasks test` of a task that defers ends when its trigger has fired",
    ),
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


def differs(nodeid: str, version: tuple[int, int], database: str = "sqlite") -> str | None:
    """Return why a test does not hold on a version with a database, None where it does."""
    for one in DIFFERENCES:
        if (
            (one.below is None or version < one.below)
            and one.database in (None, database)
            and any(fnmatch.fnmatchcase(nodeid, pattern) for pattern in one.tests)
        ):
            return one.reason
    return None
