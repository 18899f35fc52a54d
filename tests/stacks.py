"""Stacks of the tests: their databases are copies of one that Airflow has migrated, made once in a run."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from demo import stack
from tests.databases import PREFIX, execute, template
from tests.servers import require_postgresql
from tests.timing import SHARED, note, noted

_READY = re.compile(r"The warm parent \d+ is ready after ([\d.]+) s")


class Stack(stack.Stack):
    """
    An Airflow whose `db migrate` is made once in a run, for each auth manager and kind of database.

    `tests/demo` uses `demo.stack.Stack` itself, which migrates.
    """

    def start(self) -> None:
        name = self.home.parent.name if self.home.name in ("home", "airflow") else self.home.name
        with noted("stacks started", name):
            super().start()

    def stop(self) -> None:
        """End everything; what the plugin has logged of its warm parents is counted."""
        for output in self.home.glob("logs/api-server.out") if self.components else ():
            for seconds in _READY.findall(output.read_text(errors="replace")):
                note("warm parents of stacks", self.home.parent.name, float(seconds))
        super().stop()

    def _migrate(self) -> None:
        address = make_url(self.environment.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", self.database_address))
        if address.drivername.startswith("postgresql") and str(address.database).startswith(PREFIX):
            self._migrate_postgresql(address)
        elif address.drivername.startswith("sqlite") and not Path(str(address.database)).exists():
            self._migrate_sqlite(Path(str(address.database)))
        else:
            self._migrate_itself()

    def _migrate_itself(self) -> None:
        with noted("migrations", self.home.parent.name):
            super()._migrate()

    def _migrate_sqlite(self, file: Path) -> None:
        kept = SHARED / f"{self._flavour}.db"
        with _one_at_a_time(kept.name):
            if kept.exists():
                shutil.copyfile(kept, file)
                return
            self._migrate_itself()
            # Airflow has ended, and with it the journal.
            part = kept.with_suffix(".part")
            shutil.copyfile(file, part)
            part.rename(kept)

    def _migrate_postgresql(self, address: URL) -> None:
        server, kept = require_postgresql(), template(self._flavour)
        done = SHARED / kept
        with _one_at_a_time(kept):
            if done.exists():
                # It is there, and empty.
                execute(server, f"DROP DATABASE {address.database}")
                execute(server, f"CREATE DATABASE {address.database} TEMPLATE {kept}")
                return
            self._migrate_itself()
            execute(server, f"CREATE DATABASE {kept} TEMPLATE {address.database}")
            done.touch()

    @property
    def _flavour(self) -> str:
        """What the tables depend on: an auth manager may have some of its own."""
        manager = self.environment.get("AIRFLOW__CORE__AUTH_MANAGER", "")
        return f"migrated_{hashlib.sha256(manager.encode()).hexdigest()[:8]}"


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    with (SHARED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
