from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_rest_api.services.child import Order, words_for
from airflow_rest_api.services.files import write_letter

pytestmark = pytest.mark.airflow


def an_order(**values: object) -> Order:
    known = dict.fromkeys(("id", "kind", "folder", "home", "logs", "stdout", "stderr", "words"), "x")
    return Order(**{**known, **values})  # type: ignore[arg-type]


def test_a_command_line_with_a_secret_is_in_no_list_of_processes_and_arrives() -> None:
    shown = ["users", "create", "--password=***"]
    argv = ["config", "get-value", "core", "hunter22"]
    letter = write_letter({"argv": argv, "user": None})
    words = words_for(an_order(argv=argv, shown=shown), letter)

    done = subprocess.run(words, pass_fds=[letter], capture_output=True, text=True, timeout=120, check=False)
    os.close(letter)

    assert "hunter22" not in " ".join(words)
    assert words[-3:] == shown
    # What ran is what was in the letter.
    assert "[core/hunter22] not found" in done.stdout + done.stderr


def test_without_a_secret_the_list_of_processes_shows_the_command() -> None:
    words = words_for(an_order(argv=["celery", "worker"]), 7)
    assert words[0] == sys.executable
    assert words[-3:] == ["airflow", "celery", "worker"]
