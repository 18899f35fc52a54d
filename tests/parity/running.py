"""Runs of the script: as a new process each, and through the plugin."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from demo.stack import Stack
from tests.parity.normal import normal
from tests.parity.script import LANES, OF_RECORDS, OF_THE_MACHINE, UNORDERED, UNRECORDED

DAGS = Path(__file__).parents[1] / "data" / "parity" / "dags"

ENVIRONMENT = {"PYTHONHASHSEED": "0", "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*[a-z]*"}
"""The same order of everything that Airflow keeps in sets; what destroys is compared too."""


@dataclass(frozen=True)
class End:
    """How one run ended, ready to be compared."""

    exit_code: int
    stdout: str
    stderr: str
    files: Mapping[str, str]


Line = tuple[str, int]
"""A lane, and the number of a line in it."""

Ends = dict[Line, End]

SCRIPT: list[Line] = [(lane, number) for lane, lines in LANES.items() for number in range(len(lines))]
OWN = [(lane, number) for lane, number in SCRIPT if LANES[lane][number] in OF_THE_MACHINE]
RECORDED = [line for line in SCRIPT if line not in OWN]


class Through:
    """Runs commands; `@name` arguments are read from what the lane wrote before, `>name` ones are kept."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.written: dict[str, str] = {}

    def run(self, words: list[str]) -> End:
        raise NotImplementedError

    def end(self, code: int, stdout: str, stderr: str, files: dict[str, str]) -> End:
        self.written |= files
        home = self.stack.home
        kept = {name: normal(text, home) for name, text in files.items()}
        return End(code, normal(stdout, home), normal(stderr, home), kept)

    def undisturbed(self, line: str) -> End:
        """Run a command; again where that of another lane held SQLite, which says nothing about this one."""
        for _ in range(5):
            end = self.run(shlex.split(line))
            if "database is locked" not in end.stdout + end.stderr:
                break
        return end


class Plain(Through):
    """As a new process each, in a folder that is made for the lane."""

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
            check=False,
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


def run_lanes(make: Callable[[str], Through], lines: Iterable[Line]) -> Ends:
    """Run lines of the script, some lanes side by side; `make` says through what a lane goes."""
    lanes: dict[str, list[int]] = {}
    for name, number in lines:
        lanes.setdefault(name, []).append(number)

    def lane(name: str) -> Ends:
        through = make(name)
        return {(name, number): through.undisturbed(LANES[name][number]) for number in lanes[name]}

    with ThreadPoolExecutor(3) as pool:
        return {line: end for ends in pool.map(lane, lanes) for line, end in ends.items()}


def know_the_dags(stack: Stack) -> None:
    """Have the DAGs of the script in the stack's database."""
    command = [str(Path(sys.executable).with_name("airflow")), "dags", "reserialize"]
    subprocess.run(command, env=stack.environment, check=True, capture_output=True, timeout=300)


@contextmanager
def folder_of_one_length() -> Iterator[Path]:
    """Give a folder whose path is as long as that of any other run: tables are as wide as what is in them."""
    folder = Path(tempfile.mkdtemp(prefix="parity-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def comparable(line: str, end: End) -> End:
    """Return an end of a line of the script without what differs by nature."""
    if line in UNORDERED:
        end = replace(end, stdout="\n".join(sorted(end.stdout.splitlines())))
    if line in UNRECORDED:
        for pattern in OF_RECORDS:
            end = replace(end, stdout=re.sub(pattern, "", end.stdout, flags=re.MULTILINE))
    return end
