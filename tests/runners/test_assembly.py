from __future__ import annotations

import pytest
from airflow.configuration import conf

from airflow_rest_api.runners.assembly import limits, warn_of_unknown_options
from airflow_rest_api.settings import OPTIONS, SECTION, Settings


def test_the_settings_become_the_limits_of_the_engine():
    made = limits(
        Settings(parallelism=3, queue_size=4, spare_children=1, cancel_grace=6, columns=99, fork=False)
    )

    assert (made.parallelism, made.queue, made.spares, made.grace, made.columns) == (3, 4, 1, 6, 99)
    assert (made.memory, made.fork) == (4096, False)
    assert limits(Settings(memory_limit=0)).memory is None


def test_what_is_set_and_is_no_option_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    # `%` alone: no value is read.
    conf.read_string(f"[{SECTION}]\nRead_only = True\nparallelism = 3\nsomething_else = %")
    monkeypatch.setenv(f"AIRFLOW__{SECTION}__DISABLED_COMANDS".upper(), "db *")
    monkeypatch.setenv(f"AIRFLOW__{SECTION}__HTTP_TOKEN_USERNAME_CMD".upper(), "echo admin")
    monkeypatch.setenv(f"AIRFLOW__{SECTION}__RUNNER_BROKER_SECRET".upper(), "broker")
    try:
        warn_of_unknown_options()
    finally:
        conf.remove_section(SECTION)

    assert [record.getMessage() for record in caplog.records] == [
        f"[{SECTION}] Read_only is no option, and has no effect; is read_only meant?",
        f"[{SECTION}] something_else is no option, and has no effect",
        f"[{SECTION}] disabled_comands is no option, and has no effect; is disabled_commands meant?",
        f"[{SECTION}] http_token_username_cmd is no option, and has no effect; is http_token_username meant?",
    ]


def test_every_option_is_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    for option in OPTIONS:
        monkeypatch.setenv(f"AIRFLOW__{SECTION}__{option.name}".upper(), "")
    warn_of_unknown_options()
    assert caplog.records == []
