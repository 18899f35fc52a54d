"""The wheel beside an installed Airflow, of which it must not change anything."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from airflow_rest_api.airflow.compat.version_compat import SUPPORTED
from airflow_rest_api.airflow.installation import version


def requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        found = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    return [Requirement(one) for one in found]


def test_it_asks_for_no_other_airflow_than_any_that_is_supported_or_newer(wheel: Path) -> None:
    [airflow] = requirements(wheel)
    assert airflow.name == "apache-airflow"
    for supported in SUPPORTED:
        assert airflow.specifier.contains(Version(f"{supported[0]}.{supported[1]}.0"))
    assert airflow.specifier.contains(Version("4.0.0"))


def test_installing_it_installs_nothing_else(wheel: Path) -> None:
    # Without an index: what is asked for and not installed would be an error.
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--upgrade", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    installed = [line for line in done.stdout.splitlines() if line.startswith("Would install")]
    assert all(line.split()[2:] == [f"airflow-rest-api-plugin-{wheel.name.split('-')[1]}"] for line in installed)
    assert f"apache-airflow>=3.0 in " in done.stdout.replace("(", "").replace("Requirement already satisfied: ", "")
    assert version() in done.stdout
