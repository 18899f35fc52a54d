"""Which Airflow this is, in constants as Airflow's own providers have them (their `version_compat.py`)."""

from __future__ import annotations

import logging

from packaging.version import Version

log = logging.getLogger(__name__)

SUPPORTED = ((3, 0), (3, 1), (3, 2), (3, 3))
"""The minor versions on which the tests run."""


def base_version() -> tuple[int, int, int]:
    """Return the version of the installed Airflow, without what marks a release before it."""
    from airflow import __version__

    version = Version(__version__)
    return version.major, version.minor, version.micro


_VERSION = base_version()

AIRFLOW_V_3_1_PLUS = _VERSION >= (3, 1, 0)
AIRFLOW_V_3_2_PLUS = _VERSION >= (3, 2, 0)
AIRFLOW_V_3_3_PLUS = _VERSION >= (3, 3, 0)

PARSES_ARE_TIMED = AIRFLOW_V_3_1_PLUS
"""Whether the row of a DAG has the seconds that the last parse of its file took."""

ERRORS_HAVE_WHOLE_PATHS = not AIRFLOW_V_3_1_PLUS
"""Whether the row of an import error names its file by the whole path, and not by that in its bundle."""

ARCHIVES_HAVE_ANY_NAME = not AIRFLOW_V_3_2_PLUS
"""Whether DAGs are looked for in every archive, and not in those alone whose name ends as one's does."""

TOKEN_STORAGE = None if AIRFLOW_V_3_1_PLUS else "token"
"""
Where Airflow's page keeps the session's token in a browser, as its own API takes no cookie; None if it does.

Airflow 3.0: `TOKEN_STORAGE_KEY` of `airflow/ui/src/utils/tokenHandler.ts`, a name in the `localStorage`.
"""

LOGIN_QUOTES_NEXT = AIRFLOW_V_3_2_PLUS
"""Whether Airflow's way to the login quotes the address to come back to when it hands it on."""


def is_known() -> bool:
    """Return whether the installed version is one of those that the plugin was tried with."""
    return _VERSION[:2] in SUPPORTED


def supported_versions() -> str:
    """Return the supported versions in words: `3.0 to 3.3`."""
    return " to ".join(".".join(map(str, version)) for version in (SUPPORTED[0], SUPPORTED[-1]))


def warn_of_unknown_version() -> None:
    """Say once, in the log, where the installed version is another than those."""
    if not is_known():
        log.warning(
            "Airflow %s is none of the versions that the REST API plugin was tried with (%s): what it cannot "
            "ask of this one it refuses.",
            ".".join(map(str, _VERSION)),
            supported_versions(),
        )
