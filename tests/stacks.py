"""Stacks of the tests: their databases are copies of one that Airflow has migrated, made once in a run.

What `TEST_DATABASE` names, `postgresql` or `mariadb`, is Airflow's own database in place of SQLite. With
`TOPOLOGY=split` the API server is on a host without DAG files: see `demo.split`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.engine import URL, make_url

from demo import stack
from tests.databases import PREFIX, database_of_this_run, execute, template
from tests.servers import one_at_a_time, require_postgresql
from tests.timing import SHARED, note, noted

DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
TOPOLOGY = os.environ.get("TOPOLOGY") or "single"
STORED_AT_ONCE = {"AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0"}
"""A DAG that changes twice is stored twice, at once: who waits for that waits for half a minute else."""
STARTUP = Path(__file__).parent / "startup"
"""With what lets processes start faster."""
_READY = re.compile(r"The warm parent \d+ is ready after ([\d.]+) s")


class Stack(stack.Stack):
    """
    An Airflow whose `db migrate` is made once in a run, for each auth manager and kind of database.

    `tests/demo` uses `demo.stack.Stack` itself, which migrates.
    """

    marked = True
    """Whether the test that runs says that it starts an Airflow: `make check` leaves it out then."""

    def __init__(self, home: Path, *arguments: Any, **more: Any) -> None:
        more.setdefault("topology", "single" if more.get("like") else TOPOLOGY)
        super().__init__(home, *arguments, **more)

    @property
    def environment(self) -> dict[str, str]:
        env = super().environment
        return {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(STARTUP), env.get("PYTHONPATH"))))}

    def start(self) -> None:
        assert self.marked, "A test that starts an Airflow is marked: pytest.mark.airflow"
        if DATABASE != "sqlite" and self._database is None and self._like is None:
            self._database = database_of_this_run(DATABASE)
        if DATABASE == "mariadb":
            # MariaDB does not take its SQL: the scheduler would end after a minute (docs/installation.md).
            self._env.setdefault("AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL", "86400")
        name = self.home.parent.name if self.home.name in ("home", "airflow") else self.home.name
        with noted("stacks started", name):
            super().start()

    def stop(self) -> None:
        """End everything; what the plugin has logged of its warm parents is counted."""
        for output in self.home.glob("logs/api-server.out") if self.components else ():
            for seconds in _READY.findall(output.read_text(errors="replace")):
                note("warm parents of stacks", self.home.parent.name, float(seconds))
        super().stop()

    def execute(self, statement: str, **values: object) -> int:
        """Run a statement in its database, past Airflow; return how many rows it has changed."""
        engine = create_engine(self.database_address)
        try:
            with engine.begin() as connection:
                return int(connection.execute(text(statement), values).rowcount)
        finally:
            engine.dispose()

    def stores(self, words: str) -> bool:
        """Return whether a text is in its database, anywhere."""
        if make_url(self.database_address).drivername.startswith("sqlite"):
            return words.encode() in self.database.read_bytes()
        engine, tables = create_engine(self.database_address), MetaData()
        try:
            tables.reflect(engine)
            with engine.connect() as connection:
                rows = (row for table in tables.tables.values() for row in connection.execute(select(table)))
                return any(words in str(row) for row in rows)
        finally:
            engine.dispose()

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
        with one_at_a_time(SHARED / f"{kept.name}.lock"):
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
        with one_at_a_time(SHARED / f"{kept}.lock"):
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
