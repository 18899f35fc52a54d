"""What commands that ask for one DAG parse and write: real commands of Airflow, on databases of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from airflow_rest_api.airflow.child.one_dag import search_for
from tests import apart
from tests.parity.normal import normal

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

SERVER = (
    apart.SCRIPT
    + """
import json, sys
from functools import partial

# What is printed while Airflow is imported is no answer.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import airflow.settings
from airflow_rest_api.airflow.child import one_dag, setup
from airflow_rest_api.airflow.warm import warm_up

def make_tables():
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.utils.db import synchronize_log_template

    import_all_models()
    Base.metadata.create_all(airflow.settings.engine)
    with airflow.settings.engine.begin() as connection:
        # What is warm asks whether the tables are those that it has seen.
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    synchronize_log_template()

def run(order):
    os.environ.update(order["env"])
    if not order["narrow"]:
        setup.BY_COMMAND = {
            name: tuple(one for one in functions if not one.startswith("child.one_dag:"))
            for name, functions in setup.BY_COMMAND.items()
        }
    exec(order["before"], globals())
    setup.prepare(setup.order("ada", [" ".join(order["argv"][:2])]))
    setup.run_airflow(order["argv"])

make_tables()
warm_up(lambda argv: None)
print("ready", file=answers, flush=True)
for line in sys.stdin:
    order = json.loads(line)
    print(apart(partial(run, order), order["out"], order["err"]), file=answers, flush=True)
"""
)
"""Runs commands in children of a process that has imported Airflow, one for each line of its input."""

DAG_FILE = """
import os
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator

with open(os.environ["PARSED"], "a") as parsed:
    print(os.path.basename(__file__), file=parsed)
for dag_id in {dags!r}:
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        for task_id in {tasks!r}:
            BashOperator(task_id=task_id, bash_command="echo {{{{ ds }}}}")
    globals()[dag_id] = dag
{then}
"""

BUNDLES = """
import os
from pathlib import Path
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

class Versions(BaseDagBundle):
    supports_versioning = True

    def __init__(self, *, folder, **kwargs):
        super().__init__(**kwargs)
        self.folder = Path(folder)

    def initialize(self):
        with open(os.environ["PARSED"], "a") as parsed:
            print("checked out", file=parsed)
        super().initialize()

    @property
    def path(self):
        return self.folder / (self.version or max(os.listdir(self.folder)))

    def get_current_version(self):
        return BundleVersion(self.path.name, {"manifest": self.path.name})

    def refresh(self):
        pass
"""
"""A bundle whose versions are folders, of which the last is checked out."""


OF_WRITING = r"^.* \[airflow\.(serialization\.definitions|models)\.dag\] .*\n"
"""Lines of the log about DAGs that are written."""


@dataclass(frozen=True)
class Ended:
    """
    How a command ended.

    :ivar parsed: the DAG files that were, in their order
    :ivar written: the DAGs of which the database says so
    """

    code: int
    stdout: str
    stderr: str
    parsed: list[str]
    written: set[str]

    @property
    def answer(self) -> tuple[int, str, str]:
        """What a client sees of it; that Airflow writes more DAGs, it says of each."""
        return self.code, re.sub(OF_WRITING, "", self.stdout, flags=re.MULTILINE), self.stderr


@dataclass(frozen=True)
class Server:
    """The process that runs commands."""

    orders: IO[str]
    answers: IO[str]
    database: Path

    def answer(self, order: dict[str, Any]) -> str:
        """Return its answer to an order."""
        print(json.dumps(order), file=self.orders, flush=True)
        return self.answers.readline()


@dataclass
class Scene:
    """An Airflow with the bundles `one` and `two`, whose database is that of the server."""

    server: Server
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def bundles(self, *bundles: tuple[str, str, dict[str, Any]]) -> None:
        """Configure bundles: names, classes, arguments."""
        listed = [{"name": name, "classpath": path, "kwargs": arguments} for name, path, arguments in bundles]
        self.env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(listed)

    def local(self, *names: str) -> None:
        """Configure bundles that are folders."""
        for name in names:
            (self.home / name).mkdir(exist_ok=True)
        path = "airflow.dag_processing.bundles.local.LocalDagBundle"
        self.bundles(*((name, path, {"path": str(self.home / name)}) for name in names))

    def put(self, path: str, *dags: str, tasks: tuple[str, ...] = ("a", "b"), then: str = "") -> Path:
        """Write a DAG file."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(DAG_FILE.format(dags=dags, tasks=tasks, then=then))
        return file

    def know(self) -> None:
        """Have Airflow parse all there is, and write it to its database."""
        ended = self.run("dags", "reserialize")
        assert ended.code == 0, ended.stderr

    def run(self, *argv: str, narrow: bool = True, before: str = "") -> Ended:
        """Run a command, as a child of the engine does or without what is tested here."""
        parsed, out, err = (self.home / name for name in ("parsed", "out", "err"))
        parsed.write_text("")
        order = {"argv": argv, "narrow": narrow, "before": before, "out": str(out), "err": str(err)}
        earlier = set(self.rows("SELECT dag_id, last_parsed_time FROM dag"))
        code = int(self.server.answer({**order, "env": self.env}))
        later = set(self.rows("SELECT dag_id, last_parsed_time FROM dag"))
        return Ended(
            code,
            normal(out.read_text(), self.home),
            normal(err.read_text(), self.home),
            parsed.read_text().splitlines(),
            {dag_id for dag_id, _ in later - earlier},
        )

    def same(self, *argv: str, before: str = "") -> Ended:
        """Run a command, which has to end as it does without what is tested here."""
        copy(self.server.database, self.home / "kept.db")
        plain = self.run(*argv, narrow=False, before=before)
        copy(self.home / "kept.db", self.server.database)
        ended = self.run(*argv, before=before)
        assert ended.answer == plain.answer
        return ended

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what the database answers, or change it."""
        with closing(sqlite3.connect(self.server.database)) as connection, connection:
            return connection.execute(query).fetchall()


def copy(database: Path, to: Path) -> None:
    """Have one SQLite database be like another, what is in its journal included."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The process that runs the commands, with an empty database."""
    home = tmp_path_factory.mktemp("server")
    (home / "versions_of_tests.py").write_text(BUNDLES)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(home), *sys.path)),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
    }
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        server = Server(process.stdin, process.stdout, home / "airflow.db")
        copy(server.database, home / "empty.db")
        yield server
        process.stdin.close()


@pytest.fixture
def scene(server: Server, tmp_path: Path) -> Scene:
    """An Airflow with an empty database and two empty bundles."""
    copy(server.database.with_name("empty.db"), server.database)
    scene = Scene(server, tmp_path, {"PARSED": str(tmp_path / "parsed")})
    scene.local("one", "two")
    return scene


DATE = "2026-02-03"


@pytest.mark.parametrize(
    "argv",
    [
        ("tasks", "list", "wanted"),
        ("tasks", "render", "wanted", "a", DATE),
        ("tasks", "test", "wanted", "a", DATE),
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_the_file_of_the_dag_alone_is_parsed_and_its_dag_alone_is_written(
    scene: Scene, argv: tuple[str, ...]
) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/inner/its.py", "wanted", "beside")
    scene.put("one/later.py", "later")
    scene.know()
    ended = scene.same(*argv)
    assert ended.code == 0, ended.stderr
    assert ended.parsed == ["its.py"]
    assert ended.written == {"wanted"}


def test_a_test_of_a_dag_parses_its_file_for_the_search_and_for_the_run(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted", "beside")
    scene.know()
    ended = scene.run("dags", "test", "wanted", DATE)
    assert ended.code == 0, ended.stderr
    assert ended.parsed == ["its.py", "its.py"]
    assert ended.written == {"wanted"}
    assert scene.rows("SELECT state FROM dag_run") == [("success",)]


def test_nothing_depends_on_how_many_other_files_there_are(scene: Scene) -> None:
    for number in range(40):
        scene.put(f"one/other_{number}.py", f"other_{number}")
    scene.put("one/its.py", "wanted")
    scene.know()
    seen = scene.home / "seen"
    watch = f"""
def look(event, arguments):
    if event in ("open", "os.scandir", "os.listdir") and str(arguments[0]).startswith({str(scene.home)!r}):
        with open({str(seen)!r}, "a") as seen:
            print(event, arguments[0], file=seen)
import sys
sys.addaudithook(lambda event, arguments: str(arguments[:1]).endswith("seen',)") or look(event, arguments))
"""
    assert scene.run("tasks", "list", "wanted", before=watch).stdout == "a\nb\n"
    assert f"open {scene.home}/one/its.py" in seen.read_text()
    assert "other_" not in seen.read_text()
    assert "scandir" not in seen.read_text()


def test_a_file_that_was_edited_is_seen_and_its_dag_is_written(scene: Scene) -> None:
    scene.put("one/its.py", "wanted")
    scene.know()
    scene.put("one/its.py", "wanted", tasks=("a", "new"))
    assert scene.same("tasks", "test", "wanted", "new", DATE).code == 0
    stored = scene.rows("SELECT data FROM serialized_dag")
    assert '"new"' in str(stored)


def test_a_dag_in_an_archive_is_parsed_from_that(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    file = scene.put("packed.py", "wanted")
    with zipfile.ZipFile(scene.home / "one" / "packed.zip", "w") as archive:
        archive.write(file, "packed.py")
    scene.know()
    assert scene.rows("SELECT relative_fileloc FROM dag WHERE dag_id = 'wanted'") == [
        ("packed.zip/packed.py",)
    ]
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.parsed, ended.written) == ("a\nb\n", ["packed.py"], {"wanted"})


def test_of_two_bundles_with_the_same_path_that_of_the_dag_is_taken(scene: Scene) -> None:
    scene.put("one/its.py", "other", tasks=("x",))
    scene.put("two/its.py", "wanted")
    scene.know()
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.parsed, ended.written) == ("a\nb\n", ["its.py"], {"wanted"})


def test_of_a_bundle_with_versions_the_one_that_is_checked_out_is_parsed_and_kept(scene: Scene) -> None:
    scene.bundles(("one", "versions_of_tests.Versions", {"folder": str(scene.home / "one")}))
    scene.put("one/1/its.py", "wanted")
    scene.put("one/1/other.py", "other")
    scene.know()
    shutil.copytree(scene.home / "one" / "1", scene.home / "one" / "2")
    scene.put("one/2/its.py", "wanted", tasks=("a", "new"))
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.written) == ("a\nnew\n", {"wanted"})
    assert ended.parsed == ["checked out", "its.py"]
    versions = "SELECT dag_id, bundle_version FROM dag ORDER BY dag_id"
    assert scene.rows(versions) == [("other", "1"), ("wanted", "2")]
    assert '"2"' in str(scene.rows("SELECT version_data FROM dag_version"))


def test_a_dag_that_has_moved_within_its_bundle_is_found(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted").rename(scene.home / "moved.py")
    scene.put("one/its.py", "wanted")
    scene.know()
    (scene.home / "one" / "its.py").rename(scene.home / "one" / "moved.py")
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.written) == ("a\nb\n", {"wanted", "before"})
    assert sorted(ended.parsed) == ["before.py", "moved.py"]


def test_a_dag_that_was_taken_out_of_its_file_is_looked_for_in_all_others_once(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted", "beside")
    scene.put("two/other.py", "other")
    scene.know()
    scene.put("one/its.py", "beside")
    scene.put("two/other.py", "other", "wanted")
    ended = scene.same("tasks", "list", "wanted")
    assert ended.stdout == "a\nb\n"
    assert ended.parsed == ["its.py", "before.py", "other.py"]
    assert ended.written == {"before", "beside", "other", "wanted"}


def test_a_dag_that_is_nowhere_any_more_ends_the_command_as_airflow_does(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted")
    scene.know()
    scene.put("one/its.py")
    ended = scene.same("tasks", "list", "wanted")
    assert ended.code == 1
    assert "Dag 'wanted' could not be found; either it does not exist or it failed to parse." in ended.stderr
    assert ended.parsed == ["its.py", "before.py"]


@pytest.mark.parametrize("argv", [("tasks", "list", "wanted"), ("tasks", "test", "wanted", "a", DATE)])
def test_a_file_that_cannot_be_imported_ends_the_command_as_airflow_does(
    scene: Scene, argv: tuple[str, ...]
) -> None:
    scene.put("one/its.py", "wanted")
    scene.know()
    scene.put("one/its.py", "wanted", then="raise ValueError('broken')")
    ended = scene.same(*argv)
    assert ended.code == 1
    assert ended.parsed == ["its.py"]
    assert scene.rows("SELECT bundle_name, filename FROM import_error") == [("one", "its.py")]


def test_a_dag_that_the_database_does_not_know_is_found(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.know()
    scene.put("one/its.py", "wanted")
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.written) == ("a\nb\n", {"wanted", "before"})


def test_a_file_that_airflow_ignores_by_now_is_not_parsed(scene: Scene) -> None:
    scene.put("one/inner/its.py", "wanted")
    scene.know()
    (scene.home / "one" / ".airflowignore").write_text("inner/\n")
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.code, ended.parsed) == (1, [])


def test_a_dag_whose_bundle_is_not_configured_any_more_is_looked_for_in_the_others(scene: Scene) -> None:
    scene.put("two/its.py", "wanted")
    scene.know()
    scene.local("one")
    scene.put("one/new.py", "wanted", tasks=("new",))
    ended = scene.same("tasks", "list", "wanted")
    assert (ended.stdout, ended.parsed) == ("new\n", ["new.py"])


@pytest.mark.parametrize("place", ["inner/../../outside.py", "{home}/outside.py", None])
def test_a_path_that_leaves_the_bundle_is_not_followed(scene: Scene, place: str | None) -> None:
    scene.put("one/its.py", "wanted")
    scene.put("one/inner/more.py", "more")
    scene.know()
    scene.put("outside.py", "wanted", tasks=("outside",))
    named = "NULL" if place is None else f"'{place.format(home=scene.home)}'"
    scene.rows(f"UPDATE dag SET relative_fileloc = {named} WHERE dag_id = 'wanted'")
    ended = scene.same("tasks", "list", "wanted")
    assert ended.stdout == "a\nb\n"
    assert "outside.py" not in ended.parsed


def test_a_bundle_that_the_client_names_is_searched_by_airflow(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted")
    scene.know()
    ended = scene.same("tasks", "list", "wanted", "--bundle-name", "one")
    assert sorted(ended.parsed) == ["before.py", "its.py"]
    assert ended.written == set()


def test_a_file_that_the_client_names_is_parsed_by_airflow(scene: Scene) -> None:
    scene.put("one/its.py", "wanted")
    scene.know()
    other = scene.put("one/other.py", "wanted", tasks=("other",))
    ended = scene.run("dags", "test", "wanted", DATE, "--dagfile-path", str(other))
    assert ended.parsed[0] == "other.py"
    assert scene.rows("SELECT task_id FROM task_instance") == [("other",)]


def test_a_database_that_is_away_is_told_in_airflows_words(scene: Scene) -> None:
    scene.put("one/its.py", "wanted")
    scene.know()
    away = f"""
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:///{scene.home}/gone/airflow.db"
airflow.settings.dispose_orm(do_log=False)
airflow.settings.configure_vars()
airflow.settings.configure_orm()
"""
    ended = scene.same("tasks", "list", "wanted", before=away)
    assert ended.code == 1
    assert "unable to open database file" in ended.stderr


def test_an_airflow_that_looks_for_dags_in_another_way_stays_as_it_is(scene: Scene) -> None:
    scene.put("one/before.py", "before")
    scene.put("one/its.py", "wanted")
    scene.know()
    lacking = "from airflow.dag_processing import dagbag; one_dag.PARAMETERS = ['another']"
    ended = scene.run("tasks", "list", "wanted", before=lacking)
    assert ended.stdout == "a\nb\n"
    assert sorted(ended.parsed) == ["before.py", "its.py"]


def test_a_place_that_the_client_chose_is_not_looked_up() -> None:
    assert search_for(["one"], "wanted", None) is None
    assert search_for(None, "wanted", "its.py") is None
