"""`tools.runs`: a test that fails beside others is run once more, alone."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tools.runs import FEW, Run, beside

# Runs pytest twice, as a process.
pytestmark = pytest.mark.slow

ALONE = """
import os

def test_it():
    assert "PYTEST_XDIST_WORKER" not in os.environ
"""
NEVER = "def test_it():\n    assert False\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    # Of the run that this test is part of.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    # None of the plugins that this environment has beside.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Run(sys.executable, ["-q", "-p", "xdist", "-n", "2"], tmp_path / "record")


def test_what_passes_alone_has_passed_and_is_named(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_crowd.py").write_text(ALONE)
    assert run.once() == pytest.ExitCode.TESTS_FAILED
    assert run.again() == pytest.ExitCode.OK
    assert "\nPassed only alone: test_crowd.py::test_it\n" in capfd.readouterr().out


def test_what_fails_again_has_failed(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_crowd.py").write_text(ALONE)
    (tmp_path / "test_never.py").write_text(NEVER)
    assert run.once() == pytest.ExitCode.TESTS_FAILED
    assert run.again() == pytest.ExitCode.TESTS_FAILED
    assert "Passed only alone" not in capfd.readouterr().out


def test_what_many_tests_of_a_file_share_is_started_once_more(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tests = (ALONE.replace("test_it", f"test_{number}") for number in range(FEW + 1))
    (tmp_path / "test_crowd.py").write_text("\n".join(tests))
    assert run.once() == pytest.ExitCode.TESTS_FAILED
    assert run.again() == pytest.ExitCode.OK
    assert f"\nPassed only alone: {FEW + 1} of test_crowd.py\n" in capfd.readouterr().out


def test_many_failures_are_no_accident(run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(FEW + 1):
        (tmp_path / f"test_{number}.py").write_text(ALONE)
    assert run.once() == pytest.ExitCode.TESTS_FAILED
    assert run.again() == pytest.ExitCode.TESTS_FAILED
    assert "Once more" not in capfd.readouterr().out


def test_without_a_failure_on_record_nothing_is_run(run: Run) -> None:
    assert run.again() == pytest.ExitCode.TESTS_FAILED


def test_what_runs_beside_is_shown_when_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    with beside(sys.executable, "-c", "print('beside'); raise SystemExit(3)") as other:
        print("here", flush=True)
        assert other.result() == 3
    assert capfd.readouterr().out == "here\nbeside\n"


def test_what_runs_beside_ends_with_the_body() -> None:
    with beside(sys.executable, "-c", "import time; time.sleep(300)") as other:
        other.stand_back()
    assert other.process.wait(30) == -signal.SIGTERM
