from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_rest_api.commands.catalog import load_catalog
from tests.parity.normal import normal
from tests.parity.script import LANES, NOT_RUN, OF_RECORDS, OPPOSITE, UNORDERED, UNRECORDED
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(2400)]

DAGS = Path(__file__).parents[1] / "data" / "parity" / "dags"
LINES = [(lane, number) for lane, lines in LANES.items() for number in range(len(lines))]


@dataclass(frozen=True)
class End:
    """How one run ended, ready to be compared."""

    exit_code: int
    stdout: str
    stderr: str
    files: dict[str, str]


class Through:
    """Runs commands; `@name` arguments are read from what the lane wrote before, `>name` ones are kept."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.written: dict[str, str] = {}

    def end(self, code: int, stdout: str, stderr: str, files: dict[str, str]) -> End:
        self.written |= files
        home = self.stack.home
        kept = {name: normal(text, home) for name, text in files.items()}
        return End(code, normal(stdout, home), normal(stderr, home), kept)


class Plain(Through):
    """As a new process each."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack)
        self.folder = folder
        folder.mkdir()
        terminal = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        self.environment = {**stack.environment, **terminal}
        self.environment.pop("PYTHONUNBUFFERED")

    def run(self, words: list[str]) -> End:
        argv = [word.lstrip("@>") for word in words]
        for word in words:
            if word.startswith("@"):
                (self.folder / word[1:]).write_text(self.written[word[1:]])
        done = subprocess.run(
            [str(Path(sys.executable).with_name("airflow")), *argv],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        files = {word[1:]: (self.folder / word[1:]).read_text() for word in words if word.startswith(">")}
        return self.end(done.returncode, done.stdout, done.stderr, files)


class Rest(Through):
    """Through the plugin."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        headers = {"Authorization": f"Bearer {stack.token()}", "Prefer": "wait=120"}
        self.client = httpx.Client(base_url=f"{stack.url}/admin/rest_api/v2", headers=headers, timeout=180)

    def run(self, words: list[str]) -> End:
        argv = [word.lstrip("@>") for word in words]
        read = [word[1:] for word in words if word.startswith("@")]
        if read:
            uploads = {"file": (read[0], self.written[read[0]])}
            answer = self.client.post("/run", data={"argv": json.dumps(argv)}, files=uploads)
        else:
            answer = self.client.post("/run", json={"argv": argv})
        said = answer.json()
        if answer.status_code == 400:
            # A refusal of the parser: nothing was run, so there is only the message to compare.
            return End(2, "", said["detail"]["message"], {})
        assert answer.status_code == 200, answer.text
        files = {file["name"]: self._download(said["id"], file["name"]) for file in said["files"]}
        return self.end(said["exit_code"], said["stdout"], said["stderr"], files)

    def _download(self, operation: str, name: str) -> str:
        return self.client.get(f"/operations/{operation}/files/{name}").raise_for_status().text


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, int], tuple[End, End]]]:
    folder = tmp_path_factory.mktemp("parity")
    # The same order of everything that Airflow keeps in sets; what destroys is compared too.
    order = {"PYTHONHASHSEED": "0", "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*[a-z]*"}
    with Stack(folder / "rest", components=("api-server",), dags=DAGS, env=order) as rest_stack:
        plain_stack = Stack(folder / "same", components=(), dags=DAGS, env=order)
        with plain_stack:
            for stack in (rest_stack, plain_stack):
                _airflow(stack, "dags", "reserialize")

            def lane(name: str) -> list[tuple[End, End]]:
                rest, plain = Rest(rest_stack), Plain(plain_stack, folder / name)
                words = [shlex.split(line) for line in LANES[name]]
                return [(_undisturbed(rest, line), _undisturbed(plain, line)) for line in words]

            found: dict[tuple[str, int], tuple[End, End]] = {}
            with ThreadPoolExecutor(3) as pool:
                lanes = dict(zip(LANES, pool.map(lane, LANES), strict=True))
            for name, pairs in lanes.items():
                found |= {(name, number): pair for number, pair in enumerate(pairs)}
            yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(("lane", "number"), LINES, ids=[LANES[lane][number] for lane, number in LINES])
def test_a_command_ends_through_rest_as_it_does_in_a_process(
    ends: dict[tuple[str, int], tuple[End, End]], lane: str, number: int
):
    rest, plain = ends[lane, number]
    if LANES[lane][number] in UNORDERED:
        rest, plain = _sorted(rest), _sorted(plain)
    if LANES[lane][number] in OPPOSITE:
        before, after = OPPOSITE[LANES[lane][number]]
        assert before in plain.stdout, "it is the state from after there as well"
        plain = replace(plain, stdout=plain.stdout.replace(before, after))
    if LANES[lane][number] in UNRECORDED:
        rest, plain = _without_records(rest), _without_records(plain)

    if plain.exit_code == 2:
        assert rest.exit_code == 2
        assert rest.stderr in plain.stderr
    else:
        assert rest == plain


def test_every_command_is_compared_or_has_a_reason_why_not():
    names = {_name(line) for lines in LANES.values() for line in lines}
    installed = set(load_catalog().commands)

    assert names | set(NOT_RUN) == installed
    assert names & set(NOT_RUN) == set()
    assert len(names) >= 60


def _undisturbed(through: Through, words: list[str]) -> End:
    """Run a command; again where that of another lane held SQLite, which says nothing about this one."""
    for _ in range(5):
        end = through.run(words)
        if "database is locked" not in end.stdout + end.stderr:
            break
    return end


def _without_records(end: End) -> End:
    stdout = end.stdout
    for pattern in OF_RECORDS:
        stdout = re.sub(pattern, "", stdout, flags=re.MULTILINE)
    return replace(end, stdout=stdout)


def _sorted(end: End) -> End:
    return replace(end, stdout="\n".join(sorted(end.stdout.splitlines())))


def _name(line: str) -> str:
    first, *rest = shlex.split(line)
    return first if first in load_catalog().commands else f"{first} {rest[0]}"


def _airflow(stack: Stack, *argv: str) -> None:
    command: list[Any] = [Path(sys.executable).with_name("airflow"), *argv]
    subprocess.run(command, env=stack.environment, check=True, capture_output=True, timeout=300)
