from __future__ import annotations

from airflow_rest_api.runners.assembly import limits
from airflow_rest_api.settings import Settings


def test_the_settings_become_the_limits_of_the_engine():
    made = limits(
        Settings(parallelism=3, queue_size=4, spare_children=1, cancel_grace=6, columns=99, fork=False)
    )

    assert (made.parallelism, made.queue, made.spares, made.grace, made.columns) == (3, 4, 1, 6, 99)
    assert (made.memory, made.fork) == (4096, False)
    assert limits(Settings(memory_limit=0)).memory is None
