"""What is asked of the DAG processor and seen of its work: its part is played by Airflow's own functions."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import File
from airflow_rest_api.dag_files import refresh
from airflow_rest_api.dag_files.child import parse as parse_child
from airflow_rest_api.dag_files.child.parse import parse_files
from airflow_rest_api.dag_files.refresh import Parsed, ParsedFile, request_parse, until_parsed
from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.operations.runs import Finished
from tests.standin import airflow_database

pytestmark = pytest.mark.airflow

BUNDLE = "dags-folder"
DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("{dag_id}", schedule=None, tags={tags}):
    EmptyOperator(task_id="t")
"""


@pytest.fixture(scope="module", autouse=True)
def _rows() -> Iterator[None]:
    from airflow import settings
    from airflow.models.base import Base

    airflow_database()
    yield
    # The tables stay: others in this process count on them.
    with settings.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The DAGs folder."""
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Names that no other test has."""
    return lambda name: f"{request.node.name.removeprefix('test_')[:60]}_{name}"


@contextmanager
def processor(before: Callable[[], None] = lambda: None, *, seconds: float | None = 0.0) -> Iterator[None]:
    """
    Take requests and parse what they name, as the DAG processor does.

    :param before: is done between taking a request and parsing
    :param seconds: what is recorded as the time that parsing took
    """
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            if files := _take():
                before()
                parse_files(files)
                _set_duration(files, seconds)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _take() -> list[File]:
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(DagPriorityParsingRequest)).all()
        files = [(row.bundle_name, row.relative_fileloc) for row in rows]
        for row in rows:
            session.delete(row)
    return files


def _set_duration(files: list[File], seconds: float | None) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(
            update(DagModel)
            .where(DagModel.relative_fileloc.in_([path for _, path in files]))
            .values(last_parse_duration=seconds)
        )


@contextmanager
def job(state: str = "running", age: float = 0.0) -> Iterator[Any]:
    """A DAG processor in Airflow's table of jobs, whose last heartbeat is so many seconds old."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    row: Any = Job(job_type="DagProcessorJob", state=state)
    row.latest_heartbeat = datetime.now(timezone.utc) - timedelta(seconds=age)
    with create_session() as session:
        session.add(row)
        session.flush()
        identifier = row.id
    try:
        yield identifier
    finally:
        with create_session() as session:
            if found := session.get(Job, identifier):
                session.delete(found)


def write(folder: Path, name: str, dag_id: str, *tags: str) -> File:
    (folder / name).write_text(DAG.format(dag_id=dag_id, tags=list(tags)))
    return BUNDLE, name


def parse(*files: File, **more: Any) -> Parsed:
    async def work() -> Parsed:
        return await until_parsed(await request_parse(files), **more)

    return asyncio.run(work())


def test_a_new_file_is_asked_for_and_its_dag_is_seen_with_its_version(folder: Path, names: Any):
    file = write(folder, names("a.py"), names("dag"))
    said: list[tuple[str, dict[str, Any]]] = []

    with processor():
        parsed = parse(file, progress=lambda step, **more: said.append((step, more)))

    assert parsed == Parsed([ParsedFile(*file, parsed=True, dags={names("dag"): 1})])
    assert parsed.complete
    assert parsed.failure is None
    assert said == [("parsed", {"file": file[1], "done": 1, "of": 1, "error": None})]
    assert parsed.result() == {
        "parsed_by": "dag-processor",
        "files": [
            {
                "bundle": BUNDLE,
                "path": file[1],
                "parsed": True,
                "dags": [{"dag_id": names("dag"), "version": 1}],
                "error": None,
            }
        ],
    }


def test_an_import_error_is_seen_with_its_last_line_as_the_failure(folder: Path, names: Any):
    name = names("broken.py")
    (folder / name).write_text("import airflow\nimport no_such_module_at_all  # dag\n")

    with processor():
        parsed = parse((BUNDLE, name))

    [file] = parsed.files
    assert (file.parsed, file.dags) == (True, {})
    assert parsed.failure == f"{name}: ModuleNotFoundError: No module named 'no_such_module_at_all'"


def test_many_files_are_followed_at_once(folder: Path, names: Any):
    files = [write(folder, names(f"{number}.py"), names(str(number))) for number in range(20)]

    with processor():
        parsed = parse(*files)

    assert [file.path for file in parsed.files] == [path for _, path in files]
    assert all(file.parsed and file.dags for file in parsed.files)


def test_a_dag_that_airflow_lets_rest_is_waited_for(
    folder: Path, names: Any, monkeypatch: pytest.MonkeyPatch
):
    file = write(folder, names("a.py"), names("dag"))
    # On a slow machine it takes longer than it is waited for without a DAG processor.
    with processor(), job():
        parse(file)
        # From here on as by Airflow's default, only that it is fewer seconds than 30.
        monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "4")
        write(folder, names("a.py"), names("dag"), "changed")
        said: list[str] = []
        parsed = parse(file, progress=lambda step, **more: said.append(step))

    assert parsed.complete
    assert said[-1] == "parsed"
    assert tags_of(names("dag")) == ["changed"]


def test_a_dag_that_airflow_lets_rest_is_stored_by_the_one_parse_that_is_made_without_a_dag_processor(
    folder: Path, names: Any
):
    file = write(folder, names("a.py"), names("dag"))
    parse_files([file])
    write(folder, names("a.py"), names("dag"), "changed")
    parse_child.main([json.dumps({"files": [file]})])

    assert tags_of(names("dag")) == ["changed"]


def test_what_is_parsed_here_reads_variables_of_the_database(folder: Path, names: Any):
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Variable(key=names("key"), val="of_database"))
    file = write(folder, names("a.py"), names("dag"))
    read = f'from airflow.sdk import Variable\nassert Variable.get({names("key")!r}) == "of_database"\n'
    (folder / file[1]).write_text(read + (folder / file[1]).read_text())

    parse_child.main([json.dumps({"files": [file]})])

    assert dag_processor.look([file])[file].error is None
    assert dag_processor.dags_of([file]) == {names("dag")}


def test_each_file_is_parsed_here_on_its_own(folder: Path, names: Any):
    files = []
    for number in range(2):
        (folder / str(number)).mkdir()
        (folder / str(number) / "helpers.py").write_text(f"name_{number} = 1\n")
        bundle, path = write(folder, f"{number}/{names('a.py')}", names(f"dag_{number}"))
        first = "import os, sys; sys.path.insert(0, os.path.dirname(__file__))"
        second = f"from helpers import name_{number}"
        (folder / path).write_text("\n".join((first, second, (folder / path).read_text())))
        files.append((bundle, path))

    assert parse_child.main([json.dumps({"files": files})]) == 0

    assert [dag_processor.look([file])[file].error for file in files] == [None, None]
    assert dag_processor.dags_of(files) == {names("dag_0"), names("dag_1")}


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_file_that_ends_its_process_keeps_no_other_from_being_parsed_here(
    folder: Path, names: Any, capfd: pytest.CaptureFixture[str], end: str
):
    ends, good = write(folder, names("a.py"), names("a")), write(folder, names("b.py"), names("b"))
    (folder / ends[1]).write_text(f"import os; {end}")

    assert parse_child.main([json.dumps({"files": [ends, good]})]) == 1

    assert dag_processor.dags_of([ends, good]) == {names("b")}
    assert f"{ends[1]}: the process that parsed it ended" in capfd.readouterr().err


def test_what_the_dag_processor_would_not_parse_is_not_parsed_here(folder: Path, names: Any):
    (folder / ".airflowignore").write_text("*passed_over*\n")
    over, good = write(folder, names("passed_over.py"), names("a")), write(folder, names("b.py"), names("b"))
    gone = (BUNDLE, names("gone.py"))

    parsed = asyncio.run(refresh.bring_up_to_date(cast("Any", Here()), [over, good, gone], wait=True))

    assert [file.parsed for file in parsed.files] == [False, True, False]
    assert parsed.failure == f"An .airflowignore has Airflow pass over {over[1]}."
    assert parsed.unparsed[gone] == f"{gone[1]} is not there."
    assert dag_processor.dags_of([over, good, gone]) == {names("b")}


class Work:
    """What has files parsed here asks of its operation; the child that parses ends with an exit code."""

    runner = None

    def __init__(self, exit_code: int) -> None:
        self._outcome = Outcome(Ending.EXITED, exit_code)
        self.warnings: list[str] = []
        self.warn = self.warnings.append

    def progress(self, *_: Any, **__: Any) -> None:
        pass

    say = progress

    async def run(self, *_: Any, **__: Any) -> Finished:
        return Finished(self._outcome, "", "")


class Here(Work):
    """The same, with the child's work done in this process."""

    def __init__(self) -> None:
        super().__init__(0)

    async def run(self, job: Any, *_: Any, **__: Any) -> Finished:
        parse_child.main(job.argv)
        return Finished(self._outcome, "", "")


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [(0, "the files were parsed by the API server"), (1, "the API server did not get through the files")],
)
def test_the_api_server_says_that_it_has_parsed_files_only_where_it_has(
    names: Any, exit_code: int, said: str
):
    work = Work(exit_code)
    parsed = asyncio.run(refresh.bring_up_to_date(cast("Any", work), [(BUNDLE, names("a.py"))], wait=True))
    assert work.warnings == [f"No DAG processor is alive: {said}."]
    assert parsed.complete is (exit_code == 0)


def test_a_request_that_was_dropped_because_the_file_was_being_parsed_is_made_again(
    folder: Path, names: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")
    file = write(folder, names("a.py"), names("dag"), "old")
    with processor():
        parse(file)
    times: list[int] = []

    def old_content_first() -> None:
        times.append(1)
        # Of another length: Python may take a file of the same second and size for the one before.
        write(folder, names("a.py"), names("dag"), "old" if len(times) == 1 else "newer")

    # It says that it began an hour ago.
    with processor(old_content_first, seconds=3600):
        assert parse(file).complete

    assert len(times) == 2
    assert tags_of(names("dag")) == ["newer"]


def test_a_file_without_a_dag_leaves_no_trace_and_is_not_waited_for(folder: Path, names: Any):
    file = (BUNDLE, names("helper.py"))

    assert parse(file, dag_ids={file: []}).files == [ParsedFile(*file, parsed=True)]


def test_after_all_patience_a_file_is_said_not_to_be_parsed(folder: Path, names: Any):
    file = write(folder, names("a.py"), names("dag"))

    with job():
        parsed = parse(file, patience=0.3)

    assert parsed == Parsed([ParsedFile(*file, parsed=False)])
    assert parsed.failure == f"{file[1]} has not been parsed yet."


@pytest.mark.parametrize("question", ["look", "stored", "processor_alive"])
def test_an_outage_of_the_database_while_it_parses_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, question: str
):
    monkeypatch.setattr(refresh, "PROCESSOR_CHECK", 0.1)
    file = write(folder, f"outage_{question}.py", f"outage_{question}")
    real, errors, over = getattr(dag_processor, question), iter([away()] * 2), threading.Event()

    def failing(*arguments: Any) -> Any:
        if (error := next(errors, None)) is not None:
            raise error
        over.set()
        return real(*arguments)

    def when_over() -> None:
        over.wait(60)

    async def work() -> Parsed:
        asked = await request_parse([file])
        monkeypatch.setattr(dag_processor, question, failing)
        return await until_parsed(asked)

    with job(), processor(when_over):
        assert asyncio.run(work()).complete


def test_what_is_no_outage_ends_the_wait(folder: Path, names: Any, monkeypatch: pytest.MonkeyPatch):
    file = write(folder, names("a.py"), names("dag"))

    async def work() -> Parsed:
        asked = await request_parse([file])
        monkeypatch.setattr(dag_processor, "look", lambda *_: 1 / 0)
        return await until_parsed(asked)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work())


def away() -> OperationalError:
    """The error of a driver that cannot connect."""
    return OperationalError("SELECT x", {"x": "a value"}, Exception("connection to db.internal refused"))


def test_a_dag_processor_that_dies_meanwhile_is_not_waited_for(
    folder: Path, names: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refresh, "PROCESSOR_CHECK", 0.1)
    file = write(folder, names("a.py"), names("dag"))

    with job(age=3600):
        parsed = parse(file, patience=3600.0)

    assert (parsed.lost, parsed.complete) == (True, False)


@pytest.mark.parametrize(
    ("state", "age", "alive"), [("running", 0, True), ("running", 3600, False), ("success", 0, False)]
)
def test_a_dag_processor_is_alive_while_its_heart_beats(state: str, age: float, alive: bool):
    with job(state, age):
        assert dag_processor.processor_alive() is alive
    assert not dag_processor.processor_alive()


def test_one_of_several_dag_processors_is_enough():
    with job(age=3600), job(), job(age=3600):
        assert dag_processor.processor_alive()


def test_the_same_request_twice_is_one(names: Any):
    file = (BUNDLE, names("a.py"))
    dag_processor.request_parsing([file, file])
    dag_processor.request_parsing([file, (BUNDLE, names("b.py"))])

    assert dag_processor.waiting([file, ("other", names("a.py"))]) == {file}
    assert _take().count(file) == 1


def test_many_requests_take_one_statement_and_those_of_others_come_between(
    names: Any, monkeypatch: pytest.MonkeyPatch
):
    from airflow import settings

    files = [(BUNDLE, names(f"{number}.py")) for number in range(100)]
    inserted: list[str] = []

    def noted(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT"):
            inserted.append(statement)

    event.listen(settings.engine, "before_cursor_execute", noted)
    try:
        dag_processor.request_parsing(files[1:])
    finally:
        event.remove(settings.engine, "before_cursor_execute", noted)
    assert len(inserted) == 1
    # Another has asked for all but one since it was looked.
    monkeypatch.setattr(dag_processor, "waiting", lambda files: set())
    dag_processor.request_parsing(files)
    taken = _take()
    assert [taken.count(file) for file in files] == [1] * 100


def test_two_who_ask_at_the_same_moment_both_succeed(names: Any):
    file = (BUNDLE, names("a.py"))
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(5):
                dag_processor.request_parsing([file])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert _take().count(file) == 1


def test_a_packaged_dag_belongs_to_its_archive(folder: Path, names: Any):
    import zipfile

    name = names("packed.zip")
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("inner.py", DAG.format(dag_id=names("dag"), tags=[]))

    with processor():
        parsed = parse((BUNDLE, name))

    assert parsed.files == [ParsedFile(BUNDLE, name, parsed=True, dags={names("dag"): 1})]
    assert dag_processor.file_of(names("dag")) == (BUNDLE, name)
    assert dag_processor.dags_of([(BUNDLE, name)]) == {names("dag")}


def test_the_files_of_all_dags_are_those_that_are_still_there(folder: Path, names: Any):
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    here, gone = write(folder, names("a.py"), names("a")), write(folder, names("b.py"), names("b"))
    parse_files([here, gone])
    with create_session() as session:
        session.get_one(DagModel, names("b")).is_stale = True

    assert {here, gone} & dag_processor.all_files() == {here}


def test_a_dag_that_its_file_no_longer_defines_is_not_there(folder: Path, names: Any):
    file = write(folder, names("a.py"), names("moved"))
    parse_files([file])
    seen(names("moved"), -3600)
    # Of another size: Python takes what it has compiled of a file of the same size and second.
    write(folder, names("a.py"), names("stays_there"))
    parse_files([file])
    moved, stays = names("moved"), names("stays_there")

    assert dag_processor.owners([moved, stays]) == {stays: file}
    assert dag_processor.dags_by_file(BUNDLE, [file[1]]) == {file[1]: [stays]}
    # The other was recorded by the same parse, or shortly before.
    seen(moved, -5)
    assert dag_processor.owners([moved, stays]) == {moved: file, stays: file}


def test_the_dags_of_a_file_with_an_import_error_are_there_and_stale_ones_are_not(folder: Path, names: Any):
    file = write(folder, names("a.py"), names("dag"))
    parse_files([file])
    seen(names("dag"), -3600, is_stale=True, has_import_errors=True)
    assert dag_processor.owners([names("dag")]) == {names("dag"): file}

    seen(names("dag"), -3600, is_stale=True, has_import_errors=False)
    assert dag_processor.owners([names("dag")]) == {}
    assert dag_processor.dags_by_file(BUNDLE, [file[1]]) == {}


def test_a_dag_that_cannot_be_stored_is_still_defined_beside_one_that_can(folder: Path, names: Any):
    text = "".join(DAG.format(dag_id=names(name), tags=[]) for name in ("good", "broken"))
    (folder / names("a.py")).write_text(text)
    file = (BUNDLE, names("a.py"))
    parse_files([file])
    # As Airflow leaves them (`airflow.dag_processing.collection`).
    seen(names("good"), 0, is_stale=False, has_import_errors=True)
    seen(names("broken"), -3600, is_stale=True, has_import_errors=True)
    both = [names("broken"), names("good")]
    assert dag_processor.dags_by_file(BUNDLE, [file[1]]) == {file[1]: both}
    assert dag_processor.owners(both) == dict.fromkeys(both, file)


def seen(dag_id: str, seconds: float, **state: bool) -> None:
    """Have Airflow have seen a DAG that many seconds from now."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    with create_session() as session:
        session.execute(
            update(DagModel).where(DagModel.dag_id == dag_id).values(last_parsed_time=at, **state)
        )


def test_a_dag_that_does_not_exist_has_no_file():
    with pytest.raises(LookupError):
        dag_processor.file_of("no_such_dag")


def tags_of(dag_id: str) -> list[str]:
    """Return the tags in what Airflow runs of a DAG."""
    from airflow.models.serialized_dag import SerializedDagModel

    dag: Any = SerializedDagModel.get_dag(dag_id)
    return sorted(dag.tags)
