"""`tools.suite`: a test that fails beside others is run once more, alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.suite import FEW, again, run

# Runs pytest twice, as a process.
pytestmark = pytest.mark.slow

ALONE = """
import os

def test_it():
    assert "PYTEST_XDIST_WORKER" not in os.environ
"""
NEVER = "def test_it():\n    assert False\n"
OPTIONS = ["-q", "-n", "2"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    # Of the run that this test is part of.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


def test_what_passes_alone_has_passed_and_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_crowd.py").write_text(ALONE)
    assert run(OPTIONS) == pytest.ExitCode.TESTS_FAILED
    assert again(OPTIONS) == pytest.ExitCode.OK
    assert "\nPassed only alone: test_crowd.py::test_it\n" in capfd.readouterr().out


def test_what_fails_again_has_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_crowd.py").write_text(ALONE)
    (tmp_path / "test_never.py").write_text(NEVER)
    assert run(OPTIONS) == pytest.ExitCode.TESTS_FAILED
    assert again(OPTIONS) == pytest.ExitCode.TESTS_FAILED
    assert "Passed only alone" not in capfd.readouterr().out


def test_many_failures_are_no_accident(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(FEW + 1):
        (tmp_path / f"test_{number}.py").write_text(ALONE)
    assert run(OPTIONS) == pytest.ExitCode.TESTS_FAILED
    assert again(OPTIONS) == pytest.ExitCode.TESTS_FAILED
    assert "Once more" not in capfd.readouterr().out


def test_without_a_failure_on_record_nothing_is_run(tmp_path: Path) -> None:
    assert again(OPTIONS) == pytest.ExitCode.TESTS_FAILED
