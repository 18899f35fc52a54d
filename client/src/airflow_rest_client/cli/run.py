"""A command of Airflow's: its files, questions and secrets here, its output as it comes, its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_rest_client.catalog import STDOUT, Command
from airflow_rest_client.cli import Terminated, exits
from airflow_rest_client.cli.printing import plain
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.errors import UNKNOWN, ApiError, RestError, Unreachable
from airflow_rest_client.exchanges import line
from airflow_rest_client.following import Following
from airflow_rest_client.http import Request, Upload
from airflow_rest_client.model import End, Gap, OperationData, Output

WHETHER = "airflow-rest operations list shows whether the command had begun"


class Refused(Exception):
    """The command is not run: a file is in the way, or a question was answered with no."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Prepared:
    """
    A command line ready to be sent.

    :ivar written: where the files go that it writes, by argument
    """

    words: list[str]
    files: dict[str, Upload] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def run(words: list[str], options: Options) -> int:
    """Run the words after `airflow` at the server; return the exit code."""
    session = Session(options)
    try:
        return _run(session, words)
    except Refused as refused:
        exits.say(str(refused))
        return refused.code
    except ApiError as error:
        # The server's parser knows better than what we know of it: nothing was run.
        if error.reason in ("bad_argument", "unknown_command"):
            return _wrong(words, error)
        raise


def _run(session: Session, words: list[str], *, again: bool = True) -> int:
    catalog = session.catalog()
    command, rest = catalog.split(words)
    if command is None and (code := _group_help(session, words)) is not None:
        return code
    if command is not None and _asks_for_help(rest):
        print(plain(command.parser(f"airflow-rest {command.name}").format_help(), "\n"), end="")
        return 0
    if session.options.ask and command is None:
        raise Refused(f"there is no command {' '.join(words)}", exits.USAGE)
    prepared = Prepared(words)
    if command is not None and (session.options.ask or not command.is_plain):
        prepared = prepare(command, words, rest, session.options)
    request = line(prepared.words, prepared.files)
    reads = command is not None and command.reads
    try:
        if session.options.detach:
            return _detach(session, request, reads=reads)
        following = Following(request, reads=reads)
        code = follow(session, following, prepared)
    except ApiError as error:
        # Perhaps Airflow was upgraded meanwhile.
        known = error.reason not in ("bad_argument", "unknown_command")
        if known or not again or session.renewed_catalog() is catalog:
            raise
        return _run(session, words, again=False)
    session.seen(following.catalog_etag)
    return code


def _asks_for_help(rest: Sequence[str]) -> bool:
    own = rest[: rest.index("--")] if "--" in rest else rest
    return "-h" in own or "--help" in own


def _group_help(session: Session, words: Sequence[str]) -> int | None:
    """Print the commands of a group; return the exit code, None where the words are none."""
    asked = _asks_for_help(words)
    name = " ".join(word for word in words if word not in ("-h", "--help"))
    below = session.catalog().below(name)
    if not below:
        return None
    said = plain(session.catalog().groups.get(name, ""))
    print(f"usage: airflow-rest {name} <command> …\n\n{said}\n")
    for command in below:
        print(f"  {command.name.removeprefix(name).strip():<24}  {plain(command.help)}")
    return 0 if asked else exits.USAGE


def _wrong(words: Sequence[str], error: ApiError) -> int:
    """Say what the server's parser said; return the exit code of a command line that cannot be read."""
    name = " ".join([word for word in words[:2] if not word.startswith("-")])
    if error.reason == "unknown_command":
        exits.say(error.message)
    else:
        print(f"airflow {name} command error: {plain(error.message)}", file=sys.stderr)
    return exits.USAGE


def prepare(command: Command, words: Sequence[str], rest: Sequence[str], options: Options) -> Prepared:
    """
    Return a command line with the files that it reads, what was asked for, and the answer to its question.

    :raises Refused: it is not to be run
    :raises OSError: a file cannot be read
    """
    prepared = Prepared(list(words))
    given = command.parse(rest) or {}
    for name in _to_ask(command, given, options.ask):
        # Once, also where the line is read a second time, with the commands of now.
        if name not in options.answers:
            options.answers[name] = _asked(command, name, twice=name in command.asks)
        # Before what a `--` may stand in front of.
        prepared.words[len(words) - len(rest) : len(words) - len(rest)] = [options.answers[name]]
    for argument in command.arguments:
        value = given.get(argument.name)
        if argument.file == "in" and isinstance(value, str):
            prepared.files[argument.name] = read(value)
        elif argument.file == "out" and isinstance(value, str) and not (argument.dash and value == STDOUT):
            _check_free(value, options)
            prepared.written[argument.name] = value
    if _confirms(command, given) and None not in options.answers:
        _confirm(words)
        options.answers[None] = "y"
    return prepared


def read(name: str) -> Upload:
    """
    Return a file that goes along.

    :raises Refused: it is no file, or has a name that cannot be sent
    :raises OSError: it cannot be read
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Refused(f"{name!r} is not valid Unicode text", exits.NO_FILE) from None
    if not name or Path(name).is_dir():
        raise Refused(f"{name or 'an empty name'} is none of a file", exits.NO_FILE)
    return Upload(name, Path(name).read_bytes())


def _confirms(command: Command, given: Mapping[str, Any]) -> bool:
    """Return whether the command would ask a person whether they are sure."""
    if not command.confirms or given.get("yes") or given.get("dry_run"):
        return False
    return command.confirms_with is None or bool(given.get(command.confirms_with))


def _to_ask(command: Command, given: Mapping[str, Any], asked: Sequence[str]) -> list[str]:
    """Return the arguments to ask for: those that are named, and what the command itself would ask for."""
    names = list(asked)
    if command.asks and not any(name in given or name in names for name in command.asks):
        names.append(command.asks[0])
    return names


def _asked(command: Command, name: str, *, twice: bool) -> str:
    argument = command.argument(name)
    if argument is None or argument.positional or argument.flag:
        raise Refused(f"{command.name} has no option --{name.replace('_', '-')} with a value", exits.USAGE)
    flag = next((flag for flag in argument.flags if flag.startswith("--")), argument.flags[0])
    shown = name.replace("_", " ").capitalize()
    return f"{flag}={secret(f'{shown}: ', again='Repeat for confirmation: ' if twice else None)}"


def secret(prompt: str, again: str | None = None) -> str:
    """
    Return what a person types, unseen, or the next line of standard input.

    :param again: the prompt with which it is asked for a second time
    :raises Refused: there is nothing, it is no text, or the two differ
    """
    try:
        text = _typed(prompt, again) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        text.encode()
    except UnicodeError:
        raise Refused(f"{prompt.rstrip(': ')}: it is not valid Unicode text", exits.USAGE) from None
    if not text:
        raise Refused(f"{prompt.rstrip(': ')}: nothing was given", exits.USAGE)
    return text


def _typed(prompt: str, again: str | None) -> str:
    from getpass import getpass

    try:
        text = getpass(prompt)
        if again is not None and getpass(again) != text:
            raise Refused("the two are not the same", 1)
    except EOFError:
        # Ctrl-D, behind which the line has not ended.
        print(file=sys.stderr)
        return ""
    return text


def _confirm(words: Sequence[str]) -> None:
    print(f"airflow {' '.join(words)}\nAre you sure? (y/n) ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not sys.stdin.isatty():
        print(file=sys.stderr)
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("not confirmed, so nothing was run; --yes does not ask", 1)


def _check_free(name: str, options: Options) -> None:
    """Raise Refused where a file would be overwritten, or has no folder, before anything is run."""
    path = Path(name)
    try:
        if not name or name.endswith("/") or path.is_dir():
            raise Refused(f"{name or 'an empty name'} is none of a file", exits.EXISTS)
        if _is_device(path):
            return
        there = path.lstat() if os.path.lexists(path) else None
    except OSError as error:
        raise Refused(f"{name} cannot be written: {error.strerror}", exits.NOT_WRITTEN) from None
    if there is not None and not path.exists():
        raise Refused(f"{name} is a link to nothing", exits.EXISTS)
    if there is not None and not options.overwrite:
        raise Refused(f"{name} is there already; airflow-rest --overwrite … writes it anew", exits.EXISTS)
    if not path.parent.is_dir():
        raise Refused(f"there is no folder {path.parent}", exits.NOT_WRITTEN)


def _detach(session: Session, request: Request, *, reads: bool) -> int:
    data = session.client.do(session.client.server.started(request, reads=reads))
    print(data["id"])
    return 0


def follow(session: Session, following: Following, prepared: Prepared | None = None) -> int:
    """
    Print what a command prints, fetch what it writes, and return the exit code that it ends with.

    Ctrl-C cancels it; a second one leaves it alone.
    """
    cancelled = cut = False
    ended: OperationData | None = None
    while ended is None:
        try:
            for event in _events(session, following):
                cut = cut or (isinstance(event, Gap) and event.stream == "stdout")
                if isinstance(event, End):
                    ended = event.operation
            if ended is None:
                # It came in the moment of a Ctrl-C.
                ended = session.client.operation(following.identifier or "")
        except KeyboardInterrupt:
            if cancelled or following.identifier is None:
                return _left(following)
            cancelled = True
            try:
                _cancel(session, following)
            except KeyboardInterrupt:
                return _left(following)
        except (OSError, Terminated):
            # Nobody reads any more, there is no room for the output, or this job was called off.
            call_off(session, following.identifier)
            raise
        except RestError as error:
            if following.identifier is not None and following.begun:
                return given_up(following.identifier, error)
            if not (following.uncertain and isinstance(error, Unreachable)):
                raise
            code = exits.code_of(error)
            exits.say(WHETHER)
            return code
    code = _end(session, ended, prepared)
    # A part would be taken for the whole; what changes something is not to be done again.
    return exits.NOT_WRITTEN if cut and not code and ended.reads else code


def _events(session: Session, following: Following) -> Iterator[Any]:
    """Yield the events, with the output printed."""
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    for event in session.client.stream(following):
        if isinstance(event, Output):
            stream = streams[event.stream]
            stream.write(event.text.encode(errors="replace"))
            stream.flush()
        elif isinstance(event, Gap):
            exits.say(f"{event.missing} bytes of {event.stream} are not kept by the server any more")
        yield event


def call_off(session: Session, identifier: str | None) -> None:
    """Cancel an operation, where there is one already, without a word and without waiting."""
    if identifier is not None:
        with suppress(RestError):
            session.client.do(session.client.server.cancel(identifier, wait=0))


def given_up(identifier: str, error: RestError) -> int:
    """Say why what has begun is not followed any more, and how it can be; return the exit code."""
    code = exits.code_within(error)
    if isinstance(error, ApiError) and error.status == 404 and error.reason != UNKNOWN:
        # It was there: its server is gone, and with it what it ran.
        return code
    exits.say(f"the command may go on: airflow-rest operations follow {identifier}")
    return code


def _cancel(session: Session, following: Following) -> None:
    assert following.identifier is not None
    exits.say("cancelling; Ctrl-C again leaves at once")
    try:
        session.client.do(session.client.server.cancel(following.identifier, wait=0))
    except RestError as error:
        exits.say(f"it could not be cancelled: {error}")


def _left(following: Following) -> int:
    if following.identifier is None:
        exits.say(f"interrupted; {WHETHER}")
    else:
        exits.say(f"left; the command may go on: airflow-rest operations follow {following.identifier}")
    return exits.CANCELLED


def _end(session: Session, operation: OperationData, prepared: Prepared | None) -> int:
    code = exit_code(operation)
    if prepared is None or not prepared.written:
        return code
    fetched = _fetch(session, operation, prepared.written)
    return code or fetched


def exit_code(operation: OperationData) -> int:
    """Return the exit code for an operation that has ended, and say why where it is not the command's."""
    if operation.succeeded:
        return operation.exit_code or 0
    # A process that what it ran has ended with 0 (`os._exit`) has failed all the same.
    if operation.state == "failed" and operation.exit_code:
        return exits.of_process(operation.exit_code)
    exits.say(operation.message or f"the operation is {operation.state}")
    if operation.signal is not None:
        return exits.of_process(-operation.signal)
    codes = {"cancelled": exits.CANCELLED, "timed_out": exits.TIMED_OUT, "lost": exits.SERVER_ERROR}
    return codes.get(operation.state, 1)


def _fetch(session: Session, operation: OperationData, written: Mapping[str, str]) -> int:
    """Write the files of an operation where its command line says; return 0 where that is done."""
    code = 0
    for argument, name in written.items():
        files = [file for file in operation.files if file.argument == argument]
        if not files and operation.succeeded:
            exits.say(" ".join([f"{name} was not written.", *operation.warnings]))
            code = exits.NOT_WRITTEN
        for file in files:
            # A command may make up names of its own beside the one that it was given.
            if not _is_name(file.name):
                exits.say(f"the server names a file {file.name!r}, which was not fetched")
                code = exits.NOT_WRITTEN
                continue
            path = Path(name) if len(files) == 1 else Path(name).parent / file.name
            try:
                content = session.client.do(session.client.server.file(operation.id, file.name, file.size))
            except RestError as error:
                # How the command ended counts, and the others may be had.
                code = exits.code_within(error)
                exits.say(f"{path} was not fetched; operation {operation.id} has it")
                continue
            code = _write(path, content, overwrite=session.options.overwrite) or code
    return code


def _is_name(name: str) -> bool:
    """Return whether a name is one of a file alone: where it goes is said here."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def _write(path: Path, content: bytes, *, overwrite: bool) -> int:
    try:
        mode = "ab" if _is_device(path) else "wb" if overwrite else "xb"
        with path.open(mode) as file:
            try:
                file.write(content)
                file.flush()
            except BaseException:
                # A part would be taken for the whole, and be in the way of the next try.
                if mode == "xb":
                    path.unlink()
                raise
    except FileExistsError:
        exits.say(f"{path} came into being meanwhile, and was left alone")
        return exits.EXISTS
    except OSError as error:
        exits.say(f"{path} cannot be written: {error.strerror}")
        return exits.NOT_WRITTEN
    return 0


def _is_device(path: Path) -> bool:
    # What standard output leads to may be a file, behind what stands in it already; /dev/shm is a folder.
    special = path.is_relative_to("/dev") or path.is_relative_to("/proc")
    return (special and not path.is_relative_to("/dev/shm")) or (path.exists() and not path.is_file())
