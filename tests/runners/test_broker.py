from __future__ import annotations

import pytest

from airflow_rest_api.operations.model import new_id
from airflow_rest_api.runners.broker import Publisher, address, broker_queue, celery_app
from airflow_rest_api.settings import Settings


def test_the_broker_is_airflows_where_none_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://of-airflow/3")

    assert address(Settings()) == "redis://of-airflow/3"
    assert address(Settings(runner_broker="amqp://ours")) == "amqp://ours"


def test_runners_and_airflows_workers_do_not_meet_on_one_broker():
    app = celery_app(Settings(runner_broker="redis://x/0"))

    assert broker_queue("default") != "default"
    assert app.conf.task_default_queue == broker_queue("default")
    assert app.conf.control_exchange != "celery"
    assert app.conf.event_exchange != "celeryev"


def test_a_message_that_is_lost_with_its_runner_comes_again():
    conf = celery_app(Settings(runner_broker="redis://x/0")).conf

    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.worker_enable_prefetch_count_reduction


def test_a_runner_outlives_a_channel_that_the_broker_closes():
    # As RabbitMQ does where a command takes longer than its `consumer_timeout`.
    assert celery_app(Settings(runner_broker="amqp://x")).conf.broker_channel_error_retry


def test_a_broker_that_is_not_there_is_told_soon_and_without_its_password():
    publish = Publisher(Settings(runner_broker="redis://:hunter22@127.0.0.1:1/0"))
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as told:
        publish("dags", new_id())

    assert "hunter22" not in str(told.value)
