"""Run what sees the plugin from outside on the other supported Airflows, on other databases, on two hosts.

The wheel is built once. Each version has an environment of its own under .venvs, made from its pins.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.versions import NEWEST, SITES, Site
from tools.dist import build_wheel
from tools.runs import Run

ROOT = Path(__file__).resolve().parent.parent
DRIVERS = ROOT / "requirements" / "mysql.txt"
OPTIONS = ("-n", "4", "--no-loadscope-reorder")
PREPARE = "--prepare"


def main(options: Sequence[str] = ()) -> int:
    """
    Test the sites; return 1 if one failed.

    :param options: the names of those to test, `3.1` or `3.3-mariadb`; all of them where none is named. With
        `--prepare` nothing is tested: what takes long of the environments of other Airflows is made
    :raises SystemExit: one of the names is none of theirs
    """
    known = {site.name: site for site in SITES}
    if PREPARE in options:
        return prepare([site for site in SITES if site.airflow != NEWEST])
    if unknown := [name for name in options if name not in known]:
        sys.exit(f"No such site: {', '.join(unknown)}; there are {', '.join(known)}")
    sites = [known[name] for name in options or known]
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        made = environments(sites, build_wheel(Path(folder)))
        for site in sites:
            print(f"Airflow {site.name}:", flush=True)
            try:
                code = run(site, made[site].result())
            except subprocess.CalledProcessError as error:
                print(error, flush=True)
                code = 1
            print(f"Airflow {site.name}: {'failed' if code else 'passed'}", flush=True)
            if code:
                failed.append(site.name)
    return int(bool(failed))


def prepare(sites: Sequence[Site]) -> int:
    """Make the environments of some sites; return 1 if one could not be made."""
    with tempfile.TemporaryDirectory() as folder:
        made = environments(sites, build_wheel(Path(folder)))
        return int(any(future.exception() for future in made.values()))


def environments(sites: Sequence[Site], wheel: Path) -> dict[Site, Future[Path]]:
    """
    Make or update the environments of some sites, and return each, or why there is none, once all are done.

    Before the first tests: pip has one processor at work, and leaves the others idle.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return {site: pool.submit(environment, site, wheel) for site in sites}


def environment(site: Site, wheel: Path) -> Path:
    """Make or update the environment of a site, with a wheel in it, and return its folder."""
    if site.airflow == NEWEST:
        if site.database == "mariadb":
            # Where the driver cannot be built, the tests say what they miss.
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(DRIVERS)], check=False)
        return Path(sys.prefix)
    folder = ROOT / ".venvs" / f"airflow-{site.airflow}"
    (folder / ".installed").unlink(missing_ok=True)
    make = ["make", "--no-print-directory", "install", f"AIRFLOW={site.airflow}", f"WHEEL={wheel}"]
    # Whatever calls this may have been called by make, with variables of its own.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    subprocess.run(make, cwd=ROOT, env=env, check=True)
    return folder


def run(site: Site, folder: Path) -> int:
    """Run the tests of a site in an environment; return an exit code."""
    options = ["-q", *OPTIONS, *site.places]
    env = {"TEST_DATABASE": site.database, "TOPOLOGY": site.topology}
    tests = Run(
        str(folder / "bin" / "python"),
        options,
        folder / f".pytest_cache_{site.database}_{site.topology}",
        env,
    )
    code = tests.once()
    return tests.again() if code == pytest.ExitCode.TESTS_FAILED else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
