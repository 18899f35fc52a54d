"""Run what sees the plugin from outside on the other supported versions of Airflow: one wheel, built once.

Each has an environment of its own under .venvs, made from the pins of its version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.versions import BLACK_BOX
from tools.dist import build_wheel
from tools.runs import Run

ROOT = Path(__file__).resolve().parent.parent
NEWEST = "3.3"
"""The version on which everything runs."""
OTHERS = ("3.0", "3.1", "3.2")
"""The versions beside it."""
OPTIONS = ("-n", "2", "--no-loadscope-reorder")


def main(options: Sequence[str] = ()) -> int:
    """
    Test the other versions; return 1 if one failed.

    :param options: the versions to test, of `OTHERS`; all of them where none is named
    """
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for version in options or OTHERS:
            print(f"Airflow {version}:", flush=True)
            try:
                code = run(environment(version, wheel))
            except subprocess.CalledProcessError as error:
                print(error, flush=True)
                code = 1
            print(f"Airflow {version}: {'failed' if code else 'passed'}", flush=True)
            if code:
                failed.append(version)
    return int(bool(failed))


def environment(version: str, wheel: Path) -> Path:
    """Make or update the environment of a version, with a wheel in it, and return its folder."""
    folder = ROOT / ".venvs" / f"airflow-{version}"
    (folder / ".installed").unlink(missing_ok=True)
    make = ["make", "--no-print-directory", "install", f"AIRFLOW={version}", f"WHEEL={wheel}"]
    # Whatever calls this may have been called by make, with variables of its own.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    subprocess.run(make, cwd=ROOT, env=env, check=True)
    return folder


def run(folder: Path) -> int:
    """Run the tests in an environment; return an exit code."""
    tests = Run(str(folder / "bin" / "python"), ["-q", *OPTIONS, *BLACK_BOX], folder / ".pytest_cache")
    code = tests.once()
    return tests.again() if code == pytest.ExitCode.TESTS_FAILED else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
