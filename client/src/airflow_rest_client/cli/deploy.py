"""`airflow-rest deploy`: DAG files into a bundle, with what was found in them line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airflow_rest_client.archive import parts
from airflow_rest_client.cli import Terminated, exits
from airflow_rest_client.cli.printing import as_json, plain
from airflow_rest_client.cli.run import call_off, exit_code, given_up
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.errors import RestError
from airflow_rest_client.events import Lines
from airflow_rest_client.exchanges import deployment
from airflow_rest_client.following import Following
from airflow_rest_client.model import End, Line, OperationData, Progress

FLAGS = ("overwrite", "pause", "unpause", "dry_run", "force_invalid")
FORMATS = ("text", "github", "json")


def main(words: list[str], options: Options) -> int:
    """Do what the words say; return 0 where the files are deployed, 1 where what is in them forbids it."""
    given = _parser().parse_args(words[1:])
    session = Session(options)
    try:
        files = parts(given.paths)
    except ValueError as error:
        exits.say(str(error))
        return exits.USAGE
    wanted: dict[str, str | bool] = {name: True for name in FLAGS if getattr(given, name)}
    wanted |= {name: getattr(given, name) for name in ("bundle", "folder") if getattr(given, name)}
    if not given.check and not given.no_wait:
        wanted["wait"] = True
    request = deployment(files, wanted, check=given.check)
    data = session.client.do(session.client.server.started(request))
    if options.detach:
        print(data["id"])
        return 0
    return _follow(session, OperationData(data), given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest deploy",
        description="Put DAG files into a bundle: all of them, or none. They are checked first.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, or one folder, or one archive")
    parser.add_argument("--bundle", help="by default the only one that files can be put into")
    parser.add_argument("--folder", help="a folder of the bundle; it need not exist")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there and differ")
    parser.add_argument("--check", action="store_true", help="only look into the files")
    parser.add_argument("--dry-run", action="store_true", help="do all but write")
    parser.add_argument("--force-invalid", action="store_true", help="write them whatever was found")
    state = parser.add_mutually_exclusive_group()
    state.add_argument("--pause", action="store_true", help="pause every DAG in the files")
    state.add_argument("--unpause", action="store_true", help="resume every DAG in the files")
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="end when the files are written, and not when Airflow has parsed them",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="of the findings: text, annotations of GitHub Actions, or the report as JSON",
    )
    parser.add_argument(
        "--root", default="", help="what stands before the paths of the findings, for annotations"
    )
    return parser


PARSERS = {"deploy": _parser}


def _follow(session: Session, started: OperationData, given: argparse.Namespace) -> int:
    ended, lines = started, Lines()
    try:
        for event in session.client.stream(Following(identifier=started.id)):
            if isinstance(event, Progress):
                print(plain(_step(event)), file=sys.stderr, flush=True)
            elif isinstance(event, End):
                ended = event.operation
            _show(lines.feed(event))
        _show(lines.finish())
    except (KeyboardInterrupt, OSError, Terminated) as error:
        call_off(session, started.id)
        if isinstance(error, KeyboardInterrupt):
            exits.say(f"whether it was deployed: airflow-rest operations show {started.id}")
        raise
    except RestError as error:
        return given_up(started.id, error)
    report = ended.result if isinstance(ended.result, Mapping) else {}
    if given.format == "json":
        as_json(report)
    else:
        root, files = (given.root, {}) if given.root else (_root(given.paths), _files(given.paths))
        for finding in findings(report, given.format, root, given.folder, files):
            print(plain(finding, "\n"))
        if ended.succeeded:
            print(_summary(report, given))
    # How else it may have ended is said with the exit code.
    if ended.state == "failed" and ended.exit_code and not (report.get("errors") or report.get("duplicates")):
        exits.say(ended.message or f"the deployment is {ended.state}")
    return exit_code(ended)


def _show(lines: Iterable[Line]) -> None:
    """Print what the files print while they are parsed: to a pipeline no command of theirs."""
    for line in lines:
        print(f"| {plain(line.text)}", file=sys.stderr, flush=True)


def _root(paths: list[str]) -> str:
    """Return where the paths of the report begin: the folder that was sent, or that of a file."""
    first = Path(paths[0])
    root = first if first.is_dir() else first.parent
    return "" if str(root) == "." else root.as_posix()


def _files(paths: list[str]) -> dict[str, str]:
    """Return where files are that are named by themselves, by their names in the report: the last ones."""
    return {path.name: path.as_posix() for path in map(Path, paths) if not path.is_dir()}


def findings(
    report: Mapping[str, Any],
    form: str,
    root: str,
    below: str | None = None,
    files: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[str]:
    """
    Yield the lines that say what was found, with file and line.

    :param form: `text`, as compilers do, or `github`: workflow commands of GitHub Actions
    :param root: what stands before each path
    :param below: the folder of the bundle that the files were put into: it is not there here
    :param files: where files are that do not lie below the root, by their names
    """
    folder = root.rstrip("/") + "/" if root else ""
    there = f"{below.strip('/')}/" if below else ""

    def here(file: str) -> str:
        name = file.removeprefix(there)
        return files.get(name, folder + name)

    for error in report.get("errors") or ():
        yield _finding("error", here(error["file"]), error.get("line"), error["message"], form)
    for duplicate in report.get("duplicates") or ():
        said = f"The DAG {duplicate['dag_id']} is defined in {duplicate['owner']} as well"
        yield _finding("error", here(duplicate["file"]), None, said, form)
    for warning in report.get("warnings") or ():
        yield f"::warning::{_escaped(warning)}" if form == "github" else f"warning: {warning}"


def _finding(kind: str, file: str, line: int | None, message: str, form: str) -> str:
    if form == "github":
        place = f"file={_escaped(file, property=True)}" + (f",line={line}" if line else "")
        return f"::{kind} {place}::{_escaped(message)}"
    return f"{file}:{f'{line}:' if line else ''} {message}"


def _escaped(text: str, *, property: bool = False) -> str:
    """Return a text for a workflow command (actions/toolkit, packages/core/src/command.ts)."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property else text


def _step(progress: Progress) -> str:
    details = ", ".join(
        f"{name} {value}"
        for name, value in progress.data.items()
        if name not in ("step", "at") and value is not None
    )
    return f"{progress.step}{f' ({details})' if details else ''}"


def _summary(report: Mapping[str, Any], given: argparse.Namespace) -> str:
    dags = ", ".join(dag["dag_id"] for dag in report.get("dags") or ()) or "no DAG"
    files = report.get("files") or ()
    if given.check or given.dry_run:
        return f"{len(files)} files are good: {dags}"
    changed = sum(file["change"] != "unchanged" for file in files)
    return f"{changed} of {len(files)} files changed in {report.get('bundle')}: {dags}"
