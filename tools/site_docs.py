"""Make the table of `docs/installation.md`: versions, databases, auth managers, and what is run on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version

from tests.versions import NEWEST, SITES, Site
from tools.generated import with_part

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "installation.md"
BEGIN = "<!-- sites: made by `python -m tools.site_docs`; do not edit. -->"
END = "<!-- end of sites -->"

DATABASES: Mapping[str, str] = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
PROVIDERS: Mapping[str, str] = {
    "FAB": "apache-airflow-providers-fab",
    "Celery": "apache-airflow-providers-celery",
}
AUTH_MANAGERS: Mapping[str, str] = {
    "tests/legacy/test_replay.py": "simple",
    "tests/dag_files/test_real.py": "FAB",
}
"""By the tests that are run with one, its name."""
PARTS: Mapping[str, str] = {
    "tests/server/test_all_commands.py": "every command once",
    "tests/legacy/test_replay.py": "the 1.x endpoints with their recorded exchanges",
    "tests/security/test_matrix.py": "permissions",
    "tests/dag_files/test_real.py": "deployment",
    "tests/services/test_real.py": "components",
    "tests/browser/test_commands.py": "page and login",
    "tests/dist/test_standalone.py": "the zip",
}
"""What the places of the black-box part look at, in the words of the page."""


def table() -> str:
    """Return the table: a row for each site, the newest Airflow first."""
    lines = ["| Airflow | with | its database | auth managers | what is run there |", "|---|---|---|---|---|"]
    lines.append(_row(NEWEST, "sqlite", (*AUTH_MANAGERS.values(), "Keycloak ¹"), "everything"))
    for site in sorted(SITES, key=lambda site: site.airflow, reverse=True):
        lines.append(_row(site.airflow, site.database, _auth_managers(site), _parts(site)))
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Return the page with its table as it must be."""
    return with_part(page, BEGIN, END, table())


def _row(airflow: str, database: str, auth_managers: tuple[str, ...], parts: str) -> str:
    pins = (ROOT / "requirements" / f"airflow-{airflow}.txt").read_text("utf-8")
    found = {name: _pinned(pins, package) for name, package in PROVIDERS.items()}
    providers = ", ".join(f"{name} {version}" for name, version in found.items())
    cells = (_pinned(pins, "apache-airflow"), providers, DATABASES[database], ", ".join(auth_managers), parts)
    return f"| {' | '.join(cells)} |"


def _pinned(pins: str, package: str) -> str:
    # More than one, where an older Python has an older one.
    return str(max(re.findall(rf"^{package}==(\S+)", pins, re.MULTILINE), key=Version))


def _auth_managers(site: Site) -> tuple[str, ...]:
    return tuple(name for place, name in AUTH_MANAGERS.items() if place in site.places)


def _parts(site: Site) -> str:
    files = {place.partition("::")[0] for place in site.places}
    parts = ", ".join(words for place, words in PARTS.items() if place in files)
    return f"on two hosts: {parts}" if site.topology == "split" else parts


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
