from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from airflow_rest_api.__main__ import main
from airflow_rest_api.runners import broker, worker
from airflow_rest_api.runners.command import add_arguments
from airflow_rest_api.settings import SECTION, Settings


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_what_is_not_given_is_what_is_usual():
    assert vars(parsed()) == {"queues": "default", "name": None, "concurrency": None, "loglevel": "INFO"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--queues", "a b"), "the name of a queue"),
        (("--queues", "dags,local"), "stands for the API server"),
        (("--concurrency", "0"), "--concurrency must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as end:
        main(["runner", *words])

    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_an_address_of_a_broker_that_is_none_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(f"AIRFLOW__{SECTION.upper()}__RUNNER_BROKER", "foo://:hunter22@redis")
    with pytest.raises(SystemExit) as end:
        main(["runner"])

    assert end.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "runner_broker is no address of a broker" in line
    assert "hunter22" not in line


def test_the_address_of_airflows_broker_may_come_from_a_command(monkeypatch: pytest.MonkeyPatch):
    seen: list[object] = []

    def serve(settings: Settings, *_: object) -> int:
        seen.append(broker.address(settings))
        return 0

    monkeypatch.setattr(worker, "serve", serve)
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL_CMD", "echo redis://from-the-command/4")

    assert main(["runner"]) == 0
    assert seen == ["redis://from-the-command/4"]


@pytest.mark.slow
def test_celerys_own_programs_find_the_same_broker():
    done = subprocess.run(
        [sys.executable, "-c", "from airflow_rest_api.runners.app import app; print(app.conf.broker_url)"],
        env={**os.environ, "AIRFLOW__CELERY__BROKER_URL_CMD": "echo redis://from-the-command/4"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "redis://from-the-command/4"


def test_the_settings_and_the_arguments_are_handed_on(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[object, ...]] = []

    def serve(settings: object, *arguments: object) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(worker, "serve", serve)
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    monkeypatch.setenv(f"AIRFLOW__{SECTION.upper()}__PARALLELISM", "3")

    assert main(["runner", "--queues", " a, b ,"]) == 0
    assert main(["runner", "-n", "x@y", "-c", "9", "-l", "ERROR"]) == 0
    assert seen == [("runner@here", ["a", "b"], 3, "INFO"), ("x@y", ["default"], 9, "ERROR")]
