from __future__ import annotations

from typing import Any

import psutil
import pytest

from demo.client import Unavailable, request
from demo.stack import Stack

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def stack(api_server: Stack) -> Stack:
    return api_server


def test_only_the_wanted_component_runs(stack: Stack) -> None:
    assert [component.name for component in stack.components] == ["api-server"]
    health = request("GET", f"{stack.url}/api/v2/monitor/health")
    assert health["scheduler"]["latest_scheduler_heartbeat"] is None


def test_the_server_answers_below_its_prefix(stack: Stack) -> None:
    assert stack.url.endswith("/airflow")
    assert request("GET", f"{stack.url}/api/v2/version", token=stack.token("op"))["version"]


def test_a_wrong_password_gets_no_token(stack: Stack) -> None:
    with pytest.raises(Unavailable) as refused:
        request("POST", f"{stack.url}/auth/token", {"username": "op", "password": "guess"})
    assert refused.value.status == 401


def test_commands_that_it_refuses_are_not_waited_for(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(method: str, url: str, *rest: Any, **more: Any) -> Any:
        if "/commands/" in url:
            raise Unavailable("a token is missing", 403)
        return request(method, url, *rest, **more)

    monkeypatch.setattr("demo.stack.request", refuse)
    stack.wait_for_commands()


def test_once_it_is_stopped_nothing_of_it_runs(stack: Stack) -> None:
    processes = [psutil.Process(component.process.pid) for component in stack.components]
    stack.stop()

    assert processes
    assert not any(process.is_running() for process in processes)
