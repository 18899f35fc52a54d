from __future__ import annotations

import argparse
import os
import runpy
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
        (("--name", "a%b@c"), "--name 'a%b@c'"),
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
    # As Celery, which knows it by that, reads it.
    assert main(["runner", "-n", "x@%h"]) == 0
    assert [name for name, *_ in seen] == ["runner@here", "x@y", "x@here"]
    assert seen[:2] == [("runner@here", ["a", "b"], 3, "INFO"), ("x@y", ["default"], 9, "ERROR")]


def test_a_runner_that_starts_again_starts_as_it_did(monkeypatch: pytest.MonkeyPatch):
    again: list[list[str]] = []

    def serve(*arguments: object) -> int:
        # `celery.apps.worker._reload_current_worker`, at HUP.
        again.append([sys.executable, *sys.argv])
        return 0

    monkeypatch.setattr(worker, "serve", serve)
    monkeypatch.delitem(sys.modules, "airflow_rest_api.__main__", raising=False)
    monkeypatch.setattr(sys, "argv", ["replaced by runpy", "runner", "-q", "a"])
    with pytest.raises(SystemExit):
        runpy.run_module("airflow_rest_api", run_name="__main__", alter_sys=True)

    assert again == [[sys.executable, "-m", "airflow_rest_api", "runner", "-q", "a"]]


UNRECOVERABLE = """
import sys
from celery.worker.consumer import Consumer
from airflow_rest_api.runners import worker
from airflow_rest_api.settings import Settings

class Runner:
    queues = ["dags"]
    def __init__(self, *_):
        pass
    start = stop = retire = run = __init__

def start(self):
    raise ValueError("a broker that says what nobody understands")

worker.Runner, Consumer.start = Runner, start
sys.exit(worker.serve(Settings(runner_broker="memory://"), "one@here", ["dags"], 1, "CRITICAL"))
"""


@pytest.mark.slow
def test_a_runner_that_cannot_go_on_has_not_ended_well():
    # By a code of 0 nothing would start it again (`Restart=on-failure`).
    done = subprocess.run(
        [sys.executable, "-c", UNRECOVERABLE], capture_output=True, text=True, timeout=120, check=False
    )
    # The log is on standard error before Airflow 3.2.
    said = done.stdout + done.stderr
    assert (done.returncode, "Unrecoverable error" in said) == (1, True), said


STOPPED = """
import os, signal, sys, threading
from celery import Celery  # which is none yet for the second of two threads that import it at once
from airflow_rest_api.runners import broker, worker
from airflow_rest_api.settings import Settings

settings, begun, over = Settings(runner_broker="memory://"), threading.Event(), threading.Event()

class Runner:
    queues = ["dags"]
    def __init__(self, *_):
        pass
    start = stop = retire = __init__
    def run(self, identifier):
        begun.set()
        print("ended" if over.wait(60) else "not ended", flush=True)
    def interrupt(self):
        over.set()

def signals():
    broker.Publisher(settings)("dags", "0" * 32)
    begun.wait(60)
    for name in sys.argv[1:]:
        over.wait(1)
        os.kill(os.getpid(), getattr(signal, name))

worker.Runner = Runner
threading.Thread(target=signals, daemon=True).start()
worker.serve(settings, "one@here", ["dags"], 1, "CRITICAL")
"""


@pytest.mark.slow
@pytest.mark.parametrize("names", [("SIGQUIT",), ("SIGTERM", "SIGQUIT"), ("SIGINT", "SIGINT")])
def test_what_runs_is_ended_where_a_runner_is_told_to(names: tuple[str, ...]):
    line = [sys.executable, "-c", STOPPED, *names]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr

    assert ("ended" in done.stdout.splitlines(), "Traceback" in said) == (True, False), said


UNHEARD = """
import os, signal, sys, threading
from airflow_rest_api.runners import worker

ended = threading.Event()
signal.signal(signal.SIGINT, lambda *_: None)
worker._take_signals(ended.set, lambda: None)
# No signal wakes the main thread, as none does that comes just before it begins to wait.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGQUIT])
*first, last = (getattr(signal, name) for name in sys.argv[1:])
for number in first:
    os.kill(os.getpid(), number)
    assert not ended.wait(0.5)
os.kill(os.getpid(), last)
print(ended.wait(30))
"""


@pytest.mark.slow
@pytest.mark.parametrize("names", [("SIGQUIT",), ("SIGINT", "SIGINT")])
def test_a_signal_that_the_main_thread_does_not_come_to_is_followed(names: tuple[str, ...]):
    line = [sys.executable, "-c", UNHEARD, *names]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)

    assert done.stdout.splitlines()[-1:] == ["True"], done.stdout + done.stderr
