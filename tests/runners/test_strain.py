"""Three runners, many operations, and what dies in the middle: each runs at most once, and none is left."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from demo.component import stop
from tests.databases import database_of_our_own
from tests.runners.brokers import RabbitMQ, Redis
from tests.runners.conftest import Split, until
from tests.server.conftest import Client

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]


# What the second broker does in its own way is in a third of the operations, too.
@pytest.mark.parametrize(("kind", "number"), [(Redis, 300), (RabbitMQ, 100)], ids=["redis", "rabbitmq"])
def test_each_runs_at_most_once_and_none_is_left_whatever_dies(
    tmp_path: Path, kind: type[Redis] | type[RabbitMQ], number: int, record_property
):
    broker = kind(tmp_path / "broker")
    broker.start()
    env = {
        "AIRFLOW__REST_API_PLUGIN__QUEUE_SIZE": str(number),
        "AIRFLOW__REST_API_PLUGIN__QUEUE_PER_USER": str(number),
    }
    with database_of_our_own("postgresql", tmp_path) as database:
        engine = create_engine(database)
        split = Split(tmp_path / "split", broker, database, env)
        try:
            split.stack.start()
            split.stack.wait_for_commands()
            runners = [split.runner(f"runner{number}", "dags") for number in range(3)]
            began = time.monotonic()
            with Client(split.stack) as client, ThreadPoolExecutor(8) as threads:
                # Airflow fails two that are the first to parse a DAG at the same moment (`dag_bundle`).
                client.until(ask(client, number), lambda said: said["state"] == "succeeded")
                begun = list(threads.map(lambda each: ask(client, each), range(number)))

                until(lambda: states(engine)["succeeded"] > number // 10, 200)
                runners[0].kill()
                until(lambda: states(engine)["succeeded"] > number // 5, 200)
                broker.kill()
                time.sleep(3)
                broker.start()
                until(lambda: states(engine)["succeeded"] > number // 3, 300)
                stop(split.stack.components)
                split.stack.components.clear()
                split.stack.components.append(split.stack._launch("api-server", "api-server"))
                until(lambda: answers(client), 120)

                def none_left() -> bool:
                    found = states(engine)
                    return not (found["queued"] or found["running"])

                until(none_left, 600, lambda: f"{states(engine)} {runners[1].log()}")
                counted = Counter(client.get(f"/operations/{one}").json()["state"] for one in begun)
            record_property(
                "measured", f"{kind.__name__}: {dict(counted)} in {time.monotonic() - began:.0f} s"
            )
            assert counted["succeeded"] + counted["lost"] == number, counted
            # What the one that was killed ran at that moment.
            assert counted["lost"] <= 4
            ran = Counter(file.name.partition("-")[0] for file in split.ran.iterdir())
            assert ran.pop(str(number)) == 1
            assert max(ran.values()) == 1
            assert len(ran) >= counted["succeeded"]
        finally:
            engine.dispose()
            split.close()


def states(engine: Engine) -> Counter[str]:
    """Return how many operations are in each state: by requests that would be most of the load."""
    with engine.connect() as connection:
        found = connection.execute(text("SELECT state, count(*) FROM rest_api_operation GROUP BY state"))
        return Counter({str(state): int(count) for state, count in found})


def ask(client: Client, number: int) -> str:
    argv = [
        "tasks",
        "test",
        "on_runners",
        "work",
        "2024-01-01",
        "-t",
        json.dumps({"number": number, "seconds": 1}),
    ]
    answer = client.post("/run", json={"argv": argv}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def answers(client: Client) -> bool:
    try:
        return client.get("/operations?limit=1").status_code == 200
    except httpx.HTTPError:
        return False
