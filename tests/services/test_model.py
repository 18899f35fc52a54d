from __future__ import annotations

import re
import time

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.services.model import BY_COMMAND, KINDS, LOG_SERVER, MANAGED, identity_of
from airflow_rest_api.services.status import TAIL

COMMANDS = [kind for kind in KINDS.values() if kind.command != LOG_SERVER]


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.name)
def test_a_kind_has_a_command_of_the_installed_airflow_with_its_arguments(kind) -> None:
    command = load_catalog().get(kind.command)
    assert command.effect is Effect.SERVICE
    port = {kind.port} if isinstance(kind.port, str) else set()
    for name in {*kind.identity, *kind.required} | port:
        assert command.argument(name), name
    assert {"daemon", "pid", "stdout", "stderr", "log_file"} <= {each.name for each in command.arguments}
    assert {"daemon", "pid", "stdout", "stderr", "log_file"} <= MANAGED


def test_every_command_that_goes_on_until_it_is_ended_is_a_kind() -> None:
    endless = {name for name, command in load_catalog().commands.items() if command.argument("daemon")}
    assert endless == {kind.command for kind in COMMANDS}


def test_every_kind_can_be_found_by_its_command() -> None:
    assert len(BY_COMMAND) == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        ("scheduler", {"num_runs": 1}, {"num_runs": 2}, True),
        ("api-server", {"port": 8081}, {"port": 8082}, False),
        ("celery-flower", {"port": 5555, "hostname": "a"}, {"port": 5555}, True),
        ("celery-worker", {"queues": "a,b"}, {"queues": "b, a"}, True),
        ("celery-worker", {"queues": "a"}, {"queues": "b"}, False),
        ("celery-worker", {"celery_hostname": "a"}, {"celery_hostname": "b"}, False),
        ("dag-processor", {"bundle_name": ["a"]}, {"bundle_name": ["b"]}, False),
        ("dag-processor", {"bundle_name": ["a", "b"]}, {"bundle_name": ["b", "a"]}, True),
        ("triggerer", {"queues": ["a"]}, {}, False),
        ("kerberos", {"principal": "a", "keytab": "b"}, {"principal": "a", "keytab": "c"}, False),
    ],
)
def test_what_tells_two_of_a_kind_apart(kind, one, other, same) -> None:
    rule = KINDS[kind].identify
    identities = {identity_of("host", "place", kind, rule(values)) for values in (one, other)}
    assert len(identities) == (1 if same else 2)


def test_the_same_on_another_host_is_another() -> None:
    assert identity_of("a", "", "scheduler", ()) != identity_of("b", "", "scheduler", ())
    assert identity_of("a", "x", "scheduler", ()) != identity_of("a", "y", "scheduler", ())


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-27 17:07:19,273: INFO/MainProcess] celery@w-1 ready.",
        "2026-11-27T17:07:19.273603Z [info     ] celery@w-1 ready. [celery.apps.worker] loc=worker.py:182",
        '{"timestamp": "2026-11-27T17:07:19.273603Z", "level": "info", "event": "one@host.example ready."}',
    ],
)
def test_a_worker_says_that_it_is_ready_in_each_form_of_a_log(line: str) -> None:
    probe = KINDS["celery-worker"].probe({})
    assert re.search(probe["line"], line)
    assert not re.search(probe["line"], line.replace(" ready", " getting ready"))


def test_a_long_line_of_a_worker_does_not_keep_its_supervisor() -> None:
    line = KINDS["celery-worker"].probe({})["line"]
    begin = time.process_time()
    for text in ("@" * TAIL, "a@" * TAIL, f"a@{'b' * TAIL}"):
        assert not re.search(line, text, re.MULTILINE)
    assert time.process_time() - begin < 2


def test_a_kind_shows_that_it_is_ready_by_one_probe_at_most() -> None:
    for kind in KINDS.values():
        assert len(kind.probe({"port": 1})) <= 1
    assert KINDS["celery-flower"].probe({"port": 5555}) == {"port": 5555}
    assert KINDS["log-server"].probe({}) == {"port": ["logging", "worker_log_server_port"]}
