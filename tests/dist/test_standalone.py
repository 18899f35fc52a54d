"""Wheel and zip in a plain Airflow, `airflow standalone` in an empty folder, used and removed as the pages say."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo import component
from demo.client import Unavailable, request
from demo.component import Component
from demo.ports import free_port
from tests.dist.plain import environment, variables
from tests.pastes import blocks, fenced, run
from tests.servers import require_program

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
README, INSTALLATION, WALK_THROUGHS = (
    ROOT / "README.md",
    ROOT / "docs" / "installation.md",
    ROOT / "docs" / "walk-throughs.md",
)
OURS = re.compile(r"rest[-_ ]api", re.IGNORECASE)
BAD = re.compile(r"\[(warning|error|critical) *\]|Traceback|^\S*(WARNING|ERROR|CRITICAL)\b")

DAILY = """
from datetime import datetime
from airflow.sdk import dag, task

@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def daily_report():
    @task
    def report() -> str:
        return "done"

    report()

daily_report()
"""


class Site:
    """
    A plain Airflow with one of our files.

    :ivar kind: `wheel` or `zip`
    :ivar folder: the working folder: a project with `dist`, `examples` and `dags`
    """

    def __init__(self, kind: str, folder: Path, wheel: Path) -> None:
        self.kind = kind
        self.folder = folder / "project"
        self.home = folder / "airflow"
        self.programs = environment(folder / "environment")
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.env = variables(self.programs, self.home) | {
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            # As the walk-through of the clean-up says.
            "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*, db clean",
            # Beside other tests the first task of an API server takes its time.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
        }
        if kind == "zip":
            # Only an installed package has a part in what they bring: the hundred DAGs are not parsed twice.
            self.env["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        self.output = folder / "standalone.txt"
        self.process: Component | None = None
        (self.folder / "dags").mkdir(parents=True)
        (self.folder / "dags" / "daily_report.py").write_text(DAILY)
        shutil.copytree(wheel.parent, self.folder / "dist")
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns("__*"))

    def paste(self, lines: str, seconds: float = 300) -> str:
        replaced = {"http://localhost:8080": self.url, "NEW_PASSWORD=…": "NEW_PASSWORD=n3w-s3cret"}
        if self.process is not None:
            replaced["PASSWORD=…"] = f"PASSWORD={self.password}"
        return run(lines, replaced, env=self.env, cwd=self.folder, seconds=seconds)

    @property
    def log(self) -> list[str]:
        return self.output.read_text(errors="replace").splitlines()

    @property
    def password(self) -> str:
        [found] = re.findall(r"Password for user 'admin': (\S+)", self.output.read_text())
        return str(found)

    def start(self) -> None:
        command = [str(self.programs / "airflow"), "standalone"]
        self.process = Component("standalone", command, env=self.env, cwd=self.folder, output=self.output)
        deadline = time.monotonic() + 700
        while not self.is_ready():
            assert self.process.process.poll() is None, "\n".join(self.log[-50:])
            assert time.monotonic() < deadline, "\n".join(self.log[-50:])
            time.sleep(0.5)

    def is_ready(self) -> bool:
        """Tell whether all components are healthy, commands run, and the first examples have been parsed."""
        try:
            health = request("GET", f"{self.url}/api/v2/monitor/health", timeout=10)
        except Unavailable:
            return False
        text = self.output.read_text(errors="replace")
        return (
            all(one["status"] == "healthy" for one in health.values())
            and "The warm parent" in text
            and (self.kind == "zip" or "example_dags" in text)
        )

    def stop(self) -> None:
        if self.process is not None:
            with closing(_Ended(self.process)):
                self.process.process.send_signal(signal.SIGINT)
                self.process.process.wait(90)

    def bad_lines(self) -> list[str]:
        """Return the lines of the log in which something is wrong with us."""
        found = [line for line in self.log if BAD.search(line) and OURS.search(line)]
        return found + [line for line in self.log if re.search(r'File ".*airflow_rest_api', line)]


class _Ended:
    def __init__(self, process: Component) -> None:
        self.process = process

    def close(self) -> None:
        component.stop([self.process])


@pytest.fixture(scope="module", params=["wheel", "zip"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    wheel: Path,
    plugins_zip: Path,
) -> Iterator[Site]:
    require_program("jq", "jq")
    site = Site(request.param, tmp_path_factory.mktemp(request.param), wheel)
    [line] = [text for text in blocks(README, "Install") if installs(request.param) in text]
    site.paste(line)
    try:
        site.start()
        yield site
    finally:
        site.stop()


def installs(kind: str) -> str:
    """Return what the line has in it that installs one of our files."""
    return "pip install dist/" if kind == "wheel" else "zipfile -e dist/"


def test_what_is_pasted_is_all_that_the_readme_says_about_a_plain_airflow(site: Site) -> None:
    assert "airflow standalone\n" in blocks(README, "Install")
    assert [text for text in blocks(INSTALLATION, f"The {site.kind}") if installs(site.kind) in text]


def test_a_fresh_airflow_says_nothing_bad_of_us(site: Site) -> None:
    assert site.bad_lines() == []
    assert not [line for line in site.log if "[error" in line or "[critical" in line]


def test_every_paste_of_the_readme_works(site: Site) -> None:
    printed = site.paste("".join(blocks(README, "Try it")))

    assert '"state":"succeeded"' in printed
    assert "DAG File [my_dag.py] has been uploaded" in printed
    assert "succeeded" in printed.splitlines()[-1]
    # Nobody had made the folder.
    assert (site.home / "dags" / "my_dag.py").is_file()


WALKS = ("Deploy from CI", "Clean up every night", "Rotate a password", "Follow a backfill")


@pytest.mark.parametrize("heading", WALKS)
def test_every_paste_of_the_walk_throughs_works(site: Site, heading: str) -> None:
    first, *pastes = [*blocks(WALK_THROUGHS, ""), *blocks(WALK_THROUGHS, heading)]
    pastes = [text for text in pastes if not text.startswith("[rest_api_plugin]")]
    lines = "".join([first, *pastes])
    if heading == "Follow a backfill":
        # One run: on SQLite, the scheduler that begins with it would be in the way of a second one.
        assert "3 days ago" in lines
        lines = lines.replace("3 days ago", "1 day ago")
    printed = patiently(lambda: site.paste(lines, seconds=600))

    if heading == "Rotate a password":
        with closing(sqlite3.connect(site.home / "airflow.db")) as database:
            [stored] = database.execute(
                "SELECT host, schema, login FROM connection WHERE conn_id = 'warehouse'"
            ).fetchall()
        assert stored == ("db.example.org", "sales", "airflow")
        export = 'api -X POST -H "Accept: application/octet-stream" $v2/commands/connections/export'
        assert site.paste(f"{first}{export} | jq -r .warehouse.password") == "n3w-s3cret\n"
    if heading == "Follow a backfill":
        assert printed.strip().splitlines()[-1] == "true"
    assert printed.strip()


def patiently(paste: Callable[[], str], attempts: int = 5) -> str:
    """Paste once more where SQLite let somebody else write, as the page says; Airflow took back what it began."""
    for _ in range(attempts - 1):
        try:
            return paste()
        except AssertionError as error:
            if "database is locked" not in str(error):
                raise
            time.sleep(5)
    return paste()


def test_the_four_walk_throughs_are_all_that_there_are() -> None:
    assert re.findall(r"^## (.*)$", WALK_THROUGHS.read_text(), re.MULTILINE) == list(WALKS)


def test_after_all_of_it_the_log_is_clean(site: Site) -> None:
    assert site.bad_lines() == []


def uninstall_pastes(kind: str) -> str:
    if kind == "wheel":
        return "".join(blocks(README, "Uninstall"))
    texts = blocks(INSTALLATION, "Uninstall")
    return "".join(text for text in texts if "PYTHONPATH" in text or text.startswith("rm "))


def test_uninstall_is_refused_while_the_server_runs_and_then_leaves_nothing(site: Site) -> None:
    before = site.home / "airflow.cfg"
    deployed = (site.home / "dags" / "my_dag.py").is_file()
    assert "[rest_api_plugin]" in before.read_text() or site.kind == "zip"
    words = ["python", "-m", "airflow_rest_api", "uninstall", "--yes"]
    path = {"PYTHONPATH": str(site.home / "plugins")} if site.kind == "zip" else {}
    refused = subprocess.run(
        words, env=site.env | path, cwd=site.folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert refused.returncode == 1, refused.stdout
    assert "the API server on" in refused.stderr
    assert left(site)

    site.stop()
    assert site.bad_lines() == []
    printed = site.paste(uninstall_pastes(site.kind))
    assert "All of it is removed." in printed
    assert left(site) == []
    # What was deployed stays, and Airflow works without us.
    assert (site.home / "dags" / "my_dag.py").is_file() == deployed
    assert "rest_api" not in site.paste("airflow plugins; airflow dags list")


def left(site: Site) -> list[str]:
    """Return what is left of us: files by name or content, and whatever the database has with our name."""
    found = [str(path) for path in (*site.home.rglob("*"), *site.programs.parent.rglob("*")) if named(path)]
    config = (site.home / "airflow.cfg").read_text()
    found += [line for line in config.splitlines() if "rest_api" in line]
    with closing(sqlite3.connect(site.home / "airflow.db")) as database:
        found += [line for line in database.iterdump() if re.search(r"rest_api|REST API", line)]
    return found


def named(path: Path) -> bool:
    return bool(re.search(r"rest[-_]api", path.name))


def test_the_lines_of_the_container_image_install_the_wheel(wheel: Path, tmp_path: Path) -> None:
    lines = fenced(INSTALLATION, "A container image", "Dockerfile").strip().splitlines()
    image, copy, install = lines
    pins = (ROOT / "requirements" / "airflow-3.3.txt").read_text()
    assert f"apache-airflow-core=={image.rpartition(':')[2]} " in pins
    assert copy.startswith("COPY dist/airflow_rest_api_plugin-*.whl /tmp/")
    programs = environment(tmp_path / "environment")
    shutil.copy(wheel, tmp_path)
    run(
        install.removeprefix("RUN "),
        {"/tmp/": f"{tmp_path}/"},
        env=variables(programs, tmp_path / "home"),
        cwd=tmp_path,
    )
    assert list(programs.parent.glob("lib/python3*/site-packages/airflow_rest_api/plugin.py"))
