"""Run the tests that start no Airflow process on other interpreters at hand.

Each interpreter gets an environment of its own under .venvs with the same pins. One that is not on this
machine is named and skipped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.check import quick
from tools.runs import Run

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements" / "airflow-3.3.txt"
VERSIONS = ((3, 10), (3, 11), (3, 12), (3, 13))
SENSITIVE = (
    "tests/api",
    "tests/commands",
    "tests/dag_files",
    "tests/engine",
    "tests/storage",
    "tests/test_app.py",
    "tests/test_json_text.py",
    "tests/test_plugin.py",
)
"""Where the version of Python matters: `argparse`, `ast`, archives, forks, `sqlite3`, event loops."""


def main(options: Sequence[str] = ()) -> int:
    """
    Test other versions than the one that runs this; return 1 if one failed.

    :param options: with `--ends`, the oldest and the newest at hand only, and there what is `SENSITIVE`
    """
    at_hand: dict[str, str] = {}
    for version in VERSIONS:
        name = ".".join(map(str, version))
        if version == sys.version_info[:2]:
            continue
        if (interpreter := find(name)) is None:
            print(f"Python {name}: skipped, no interpreter on this machine", flush=True)
        else:
            at_hand[name] = interpreter
    ends = "--ends" in options
    failed = False
    for name in chosen(list(at_hand)) if ends else at_hand:
        try:
            code = run_tests(environment(name, at_hand[name]), SENSITIVE if ends else ())
        except subprocess.CalledProcessError as error:
            print(f"Python {name}: failed ({error})", flush=True)
            failed = True
        else:
            print(f"Python {name}: {'failed' if code else 'passed'}", flush=True)
            failed = failed or code != 0
    return int(failed)


def chosen(names: Sequence[str]) -> list[str]:
    """Return the oldest and the newest of some versions, of which the oldest comes first."""
    return [*names[:1], *names[1:][-1:]]


def find(name: str) -> str | None:
    """Return an interpreter of version `name` that runs and can make environments, from PATH or pyenv."""
    candidates = [shutil.which(f"python{name}")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in sorted(pyenv.glob(f"versions/{name}.*/bin/python{name}"))]
    # A name alone is not enough: pyenv's shims are there for versions that are not active, too.
    check = f"import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '{name}')"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", check], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def environment(name: str, interpreter: str) -> Path:
    """Make or update the environment for one version and return its interpreter."""
    folder = ROOT / ".venvs" / name
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    wanted = hashlib.sha256(PINS.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([interpreter, "-m", "venv", "--clear", str(folder)], check=True)
    # What the tests import of it is compiled by the first that does, which is less than half.
    subprocess.run([*pip, "--no-compile", "--require-hashes", "--no-deps", "-r", str(PINS)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
    stamp.write_text(wanted)
    return python


def run_tests(python: Path, where: Sequence[str]) -> int:
    """Run the fast part of the suite, as `make check` does, or of some places; return an exit code."""
    options = ["-q", "-n", "2", "--no-loadscope-reorder", *quick(), *where]
    tests = Run(str(python), options, python.parents[1] / ".pytest_cache")
    code = tests.once()
    return tests.again() if code == pytest.ExitCode.TESTS_FAILED else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
