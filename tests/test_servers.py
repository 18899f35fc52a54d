from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.ports import free_port
from tests.servers import require_mariadb, require_postgresql, require_program, require_redis

LACKING = [
    pytest.param(lambda: require_program("no-such-program", "its-package"), "its-package", id="program"),
    pytest.param(lambda: require_redis(f"redis://127.0.0.1:{free_port()}/13"), "Redis at 127", id="redis"),
    pytest.param(
        lambda: require_postgresql(f"postgresql+psycopg2://postgres@127.0.0.1:{free_port()}/postgres"),
        "PostgreSQL at 127",
        id="postgresql",
    ),
    pytest.param(
        lambda: require_mariadb(f"mysql+pymysql://root@127.0.0.1:{free_port()}/mysql"),
        "MariaDB at 127",
        id="mariadb",
    ),
]


@pytest.mark.parametrize(("need", "named"), LACKING)
def test_what_lacks_is_named_and_the_test_is_skipped(
    need: Callable[[], str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match=named):
        need()


@pytest.mark.parametrize(("need", "named"), LACKING)
def test_where_everything_has_to_run_what_lacks_is_a_failure(
    need: Callable[[], str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match=named):
        need()


def test_a_program_that_is_there_is_found() -> None:
    assert require_program("sh", "dash").endswith("/sh")
