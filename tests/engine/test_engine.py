from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.engine import child
from airflow_rest_api.engine import engine as engine_module
from airflow_rest_api.engine import process as process_module
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Hooks, Job, Outcome
from airflow_rest_api.errors import Busy
from tests.engine.conftest import Run, act, alive, at_rest, first_line, gone, outcome
from tests.processes import descriptors

HOSTILE = [
    "plain",
    "",
    "two words",
    "quote's",
    'double"quote',
    "line\nbreak",
    ";ls",
    "$(ls)",
    "`ls`",
    "-x",
    "--",
    "ü✓",
    "*",
]


@pytest.mark.parametrize("fork", [True, False])
def test_a_job_without_an_entry_is_run_by_the_hook(
    run: Run[Any], new_engine: Callable[..., Engine], fork: bool
):
    engine = new_engine(Hooks(main="acts:main"), fork=fork)
    how, process = run(outcome(engine, Job(["a", "b"])))

    assert how == Outcome(Ending.EXITED, 0)
    assert process.stdout.text == "main a b\n"


def test_a_traceback_begins_below_the_hook(run: Run[Any], new_engine: Callable[..., Engine]):
    _, process = run(outcome(new_engine(Hooks(main="acts:fail_in_main"), fork=False), Job(["because"])))

    lines = [line for line in process.stderr.text.splitlines() if line.startswith("  File ")]
    assert [line.rpartition(" ")[2] for line in lines] == ["fail"]


@pytest.mark.parametrize(("mask", "shown"), [(True, "'***'"), (False, "'learned-with-given'")])
def test_what_the_masker_learns_is_masked_where_that_is_asked_for(
    run: Run[Any], new_engine: Callable[..., Engine], mask: bool, shown: str
):
    engine = new_engine(Hooks(masker="acts:learn"), fork=False)
    secrets = ["given"] if mask else []
    _, process = run(outcome(engine, act("echo", "learned-with-given", secrets=secrets, mask=mask)))

    assert process.stdout.text == f"{shown}\n"


def test_a_file_that_is_watched_and_changes_renews_the_parent_without_disturbing_what_runs(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Path
):
    file = tmp_path / "watched"
    file.touch()
    engine = new_engine(Hooks(warm="acts:warm"), preload=(str(file),))

    async def change() -> None:
        old = engine.submit(act("sleep"))
        pid = int(await first_line(old))
        await outcome(engine, act("echo"))
        assert engine._retired == []
        file.write_text("changed")
        await outcome(engine, act("echo"))
        assert alive(pid)
        [retired] = engine._retired
        old.cancel()
        await old.wait()
        assert await gone(retired.pid)

    run(change())


def test_arguments_arrive_to_the_letter(run: Run[Any], any_engine: Engine):
    _, process = run(outcome(any_engine, act("echo", *HOSTILE)))

    assert process.stdout.text.splitlines() == [repr(word) for word in HOSTILE]


def test_an_argument_of_a_megabyte_arrives(run: Run[Any], any_engine: Engine):
    _, process = run(outcome(any_engine, act("echo", "y" * 2**20)))

    assert len(process.stdout.text) == 2**20 + 3


def test_both_streams_are_kept_apart(run: Run[Any], any_engine: Engine):
    _, process = run(outcome(any_engine, act("both")))

    assert (process.stdout.text, process.stderr.text) == ("to stdout\n", "to stderr\n")


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_commands_own(run: Run[Any], engine: Engine, code: int):
    how, _ = run(outcome(engine, act("leave", str(code))))

    assert how == Outcome(Ending.EXITED, code)


def test_a_process_that_ends_itself_in_the_middle_has_not_succeeded(run: Run[Any], any_engine: Engine):
    how, _ = run(outcome(any_engine, act("vanish", "0")))

    assert (how.ending, how.exit_code) == (Ending.KILLED, 0)
    assert "os._exit" in str(how.message)


def test_a_parser_that_refuses_what_the_command_gives_it_refuses_no_command(
    run: Run[Any], any_engine: Engine
):
    how, process = run(outcome(any_engine, act("parse")))

    assert (how, process.stdout.text) == (Outcome(Ending.EXITED, 0), "done all the same\n")


def test_what_keeps_a_command_from_being_begun_is_said(run: Run[Any], any_engine: Engine, tmp_path: Path):
    how, process = run(outcome(any_engine, act("both", cwd=str(tmp_path / "gone"))))

    assert how.exit_code not in (None, 0)
    assert "FileNotFoundError" in process.stderr.text


def test_a_secret_that_the_engine_cannot_hear_of_is_not_printed(
    run: Run[Any], new_engine: Callable[..., Engine]
):
    engine = new_engine(Hooks(masker="acts:masker"))
    how, process = run(outcome(engine, act("close_descriptors", "not-for-others", mask=True)))

    # That number is what another connection has by then.
    assert (how, process.stdout.text) == (Outcome(Ending.EXITED, 70), "3\n")
    assert "descriptor 3" in process.stderr.text


def test_what_is_for_the_engine_goes_to_nobody_else():
    ours, theirs = socket.socketpair()
    another, stranger = socket.socketpair()
    with ours, theirs, another, stranger:
        assert child._send(ours, {"begun": True})
        os.dup2(another.fileno(), ours.fileno())
        assert not child._send(ours, {"secrets": ["not-for-others"]})
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(1)


@pytest.mark.parametrize("way", ["exit", "raise"])
def test_the_end_of_a_fork_is_not_the_commands(run: Run[Any], any_engine: Engine, way: str):
    how, process = run(outcome(any_engine, act("fork", way)))

    assert how == Outcome(Ending.EXITED, 3)
    assert process.stdout.text == "done\n"


def test_a_fork_that_becomes_another_program_says_nothing_about_the_command(
    run: Run[Any], any_engine: Engine
):
    how, _ = run(outcome(any_engine, act("fork", "exec")))

    assert (how.ending, how.exit_code) == (Ending.KILLED, 0)


@pytest.mark.parametrize(("put", "printed"), [("a tee", "unfinished done\n"), ("nothing", "unfinished ")])
def test_a_command_may_put_anything_in_the_place_of_its_streams(
    run: Run[Any], any_engine: Engine, put: str, printed: str
):
    how, process = run(outcome(any_engine, act("exchange_streams", put)))

    assert (how, process.stdout.text) == (Outcome(Ending.EXITED, 0), printed)


@pytest.mark.parametrize(("raised", "code"), [("SystemExit", 120), ("KeyboardInterrupt", 130)])
def test_a_stream_that_ends_the_process_as_it_is_flushed_fails_the_command_in_order(
    run: Run[Any], engine: Engine, raised: str, code: int
):
    how, process = run(outcome(engine, act("exit_in_flush", raised)))

    assert (how, process.stdout.text) == (Outcome(Ending.EXITED, code), "done\n")


def test_a_command_that_exits_with_words_nobody_can_read_has_failed(run: Run[Any], any_engine: Engine):
    assert run(outcome(any_engine, act("exit_without_stderr")))[0] == Outcome(Ending.EXITED, 1)


def test_an_exception_ends_with_1_and_a_traceback_of_the_command_alone(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, act("fail", "because")))

    assert how == Outcome(Ending.EXITED, 1)
    assert process.stderr.text.endswith("RuntimeError: because\n")
    assert "airflow_rest_api/engine" not in process.stderr.text


def test_the_surroundings_are_those_of_a_quiet_terminal_of_its_own(
    run: Run[Any], any_engine: Engine, tmp_path: Path
):
    job = act("surroundings", "secret", cwd=str(tmp_path), env={"ADDED": "yes"})
    _, process = run(outcome(any_engine, job))
    found = json.loads(process.stdout.text)

    assert found["columns"] == "200"
    assert found["no_color"] == "1"
    assert found["added"] == "yes"
    assert found["context"] is None
    assert found["umask"] == 0o027
    assert found["cwd"] == str(tmp_path)
    assert found["group_leader"]
    assert not found["terminal"]
    assert found["descriptors"] == ["/dev/null", "pipe", "pipe", "socket"]
    assert "secret" not in found["title"]
    # The warm-up does without.
    assert found["collects"]


def test_a_command_that_reads_finds_nothing(run: Run[Any], any_engine: Engine):
    _, process = run(outcome(any_engine, act("read_stdin")))

    assert process.stdout.text == "''\n"


def test_a_spare_child_lets_go_of_its_connection_without_a_job_and_at_its_end():
    program = textwrap.dedent(
        """
        import socket
        from airflow_rest_api.engine import child

        child.RESTS_AFTER = 0.01
        engine, control = socket.socketpair()

        def rest():
            print("rests", flush=True)
            engine.close()

        child.serve(control, rest)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr, done.returncode) == ("rests\nrests\n", "", 0)


def test_two_children_do_not_draw_the_same_random_number(run: Run[Any], engine: Engine):
    _, one = run(outcome(engine, act("random_number")))
    _, two = run(outcome(engine, act("random_number")))

    assert one.stdout.text != two.stdout.text


def test_200_megabytes_of_output_neither_block_the_command_nor_fill_the_memory(run: Run[Any], engine: Engine):
    how, process = run(outcome(engine, act("pour", "200")))

    assert how == Outcome(Ending.EXITED, 0)
    assert process.stdout.truncated
    assert process.stdout.size > 200 * 2**20
    assert len(process.stdout.text) < 1.1 * 2**21
    assert process.stdout.text.startswith("first line\n")
    assert process.stdout.text.endswith("last line\n")


def test_output_is_heard_while_the_command_runs(run: Run[Any], engine: Engine):
    async def listen() -> list[tuple[str, bytes]]:
        received: list[tuple[str, bytes]] = []
        process = engine.submit(act("sleep"), lambda stream, data: received.append((stream, data)))
        await first_line(process)
        process.cancel()
        await process.wait()
        return received

    received = run(listen())
    assert received[0][0] == "stdout"
    assert received[0][1].strip().isdigit()


@pytest.mark.slow
def test_a_command_that_never_ends_is_ended_after_its_time(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, act("sleep", timeout=2.0 if any_engine.limits.fork else 8.0)))

    assert how.ending is Ending.TIMED_OUT
    # By an interrupt, as at a terminal.
    assert how.exit_code == 130
    assert "seconds" in (how.message or "")
    assert run(gone(process.pid or 0))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "grace"), [("SIGINT", 60.0), ("SIGTERM", 4.0)])
def test_a_cancelled_command_may_end_in_order(
    run: Run[Any], new_engine: Callable[..., Engine], name: str, grace: float
):
    engine = new_engine(grace=grace)

    async def cancel() -> Outcome:
        process = engine.submit(act("tidy", name))
        await first_line(process)
        assert process.cancel("Somebody said so.")
        assert not process.cancel()
        return await process.wait()

    assert run(cancel()) == Outcome(Ending.CANCELLED, 7, None, "Somebody said so.")


def test_a_cancelled_command_that_succeeds_all_the_same_has_succeeded(run: Run[Any], any_engine: Engine):
    async def cancel() -> tuple[Outcome, str]:
        process = any_engine.submit(act("end_well"))
        await first_line(process)
        process.cancel()
        return await process.wait(), process.stdout.text.splitlines()[-1]

    how = Outcome(Ending.EXITED, 0, None, "The command was asked to end and succeeded all the same.")
    assert run(cancel()) == (how, "done")


def test_one_whose_threads_are_interrupted_has_not_succeeded(run: Run[Any], any_engine: Engine):
    async def cancel() -> Outcome:
        process = any_engine.submit(act("leave_to_a_thread"))
        await first_line(process)
        process.cancel("Enough.")
        return await process.wait()

    assert run(cancel()) == Outcome(Ending.CANCELLED, 130, None, "Enough.")


def test_one_that_has_told_its_result_and_does_not_go_is_ended(
    run: Run[Any], engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process_module, "LEAVING", 0.5)
    how, process = run(outcome(engine, act("linger")))

    assert (how.ending, how.exit_code, process.stdout.text) == (Ending.EXITED, 0, "done\n")
    assert run(gone(process.pid or 0))


def test_a_warm_parent_that_never_gets_ready_is_not_waited_for(
    run: Run[Any], new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_module, "WARM_WITHIN", 0.01)
    how, _ = run(outcome(new_engine(), act("echo", "x")))

    assert how.exit_code == 0


@pytest.mark.slow
def test_one_that_ignores_the_polite_signal_is_killed(run: Run[Any], any_engine: Engine):
    async def cancel() -> Outcome:
        process = any_engine.submit(act("resist"))
        await first_line(process)
        process.cancel()
        return await process.wait()

    assert run(cancel()).signal == signal.SIGKILL


def test_what_a_command_leaves_behind_is_ended_with_it(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, act("leave_a_grandchild")))

    assert how == Outcome(Ending.EXITED, 0)
    assert run(gone(int(process.stdout.text)))


def test_what_a_command_started_in_a_session_of_its_own_ends_with_it(run: Run[Any], any_engine: Engine):
    async def cancel() -> None:
        process = any_engine.submit(act("start_elsewhere"))
        pid = int(await first_line(process))
        process.cancel()
        assert (await process.wait()).ending is Ending.CANCELLED
        assert await gone(pid)

    run(cancel())


def test_a_command_killed_by_someone_else_says_by_which_signal(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, act("die")))

    assert how.ending is Ending.KILLED
    assert how.signal == signal.SIGKILL
    assert "SIGKILL" in (how.message or "")
    assert process.stdout.text == "still here\n"


def test_a_signal_without_a_name_is_told_by_its_number(run: Run[Any], any_engine: Engine):
    number = signal.SIGRTMIN + 3
    how, _ = run(outcome(any_engine, act("die", str(int(number)))))

    assert (how.ending, how.signal) == (Ending.KILLED, number)
    assert how.message == f"The command was ended by signal {number}."


def test_a_command_that_becomes_another_program_is_followed_to_its_end(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, act("become_another", "sleep 0.3; echo from the shell; exit 5")))

    assert how == Outcome(Ending.EXITED, 5)
    assert process.stdout.text == "from the shell\n"


def test_the_limit_of_the_machine_holds_where_it_is_the_lower_one(monkeypatch: pytest.MonkeyPatch):
    found = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: found.append(limits))
    for hard in (2**31, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda _, hard=hard: (hard, hard))
        child._limit_memory(2**32)

    # One that is higher than what is allowed is refused with an error.
    assert found == [(2**31, 2**31), (2**32, 2**32)]


@pytest.mark.slow
def test_a_command_may_have_so_much_memory_and_no_more(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(memory=800)
    modest, _ = run(outcome(engine, act("grow", "10")))
    greedy, process = run(outcome(engine, act("grow", "2000")))

    assert modest.exit_code == 0
    assert greedy.exit_code == 1
    assert "MemoryError" in process.stderr.text

    # A component goes on beyond the command that starts it; a check has a limit of its own.
    unlimited, _ = run(outcome(engine, act("grow", "2000", limited=False)))
    assert unlimited.exit_code == 0


def test_beyond_the_limits_a_command_waits_and_then_is_refused(run: Run[Any], engine: Engine):
    async def crowd() -> None:
        running = [engine.submit(act("sleep")) for _ in range(4)]
        waiting = [engine.submit(act("echo", "late")) for _ in range(2)]
        with pytest.raises(Busy) as refusal:
            engine.submit(act("echo"))
        assert refusal.value.retry_after >= 1
        assert [process.started_at for process in waiting] == [None, None]
        assert waiting[1].cancel("Not needed any more.")
        assert await waiting[1].wait() == Outcome(Ending.CANCELLED, message="Not needed any more.")
        for process in running:
            await first_line(process)
            process.cancel()
        assert (await waiting[0].wait()).exit_code == 0
        assert waiting[0].stdout.text == "'late'\n"
        await asyncio.gather(*(process.wait() for process in running))

    run(crowd())


def test_one_owner_does_not_have_all_of_the_engine(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(parallelism=3, share=2, queue=4)

    async def crowd() -> None:
        theirs = [engine.submit(act("sleep", owner="zoe")) for _ in range(3)]
        for process in theirs[:2]:
            await first_line(process)
        ours = engine.submit(act("echo", "at once", owner="ada"))
        nobodys = engine.submit(act("echo", "at once"))
        assert (await ours.wait()).exit_code == (await nobodys.wait()).exit_code == 0
        assert theirs[2].started_at is None
        theirs[0].cancel()
        await first_line(theirs[2])
        for process in theirs:
            process.cancel()
        await asyncio.gather(*(process.wait() for process in theirs))

    run(crowd())


def test_when_the_parent_is_killed_the_caller_hears_of_it_and_the_next_command_works(
    run: Run[Any], new_engine: Callable[..., Engine]
):
    engine = new_engine()

    async def kill() -> None:
        process = engine.submit(act("sleep"))
        pid = int(await first_line(process))
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        how = await process.wait()
        assert how.ending is Ending.LOST
        assert how.message == "The process that runs commands was lost."
        assert await gone(pid)
        assert await gone(parent)
        assert (await outcome(engine, act("echo", "again")))[0].exit_code == 0

    run(kill())


@pytest.mark.slow
def test_a_spare_child_that_was_killed_is_replaced(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(spares=1)

    async def kill() -> None:
        await outcome(engine, act("surroundings"))
        for _ in range(3):
            await asyncio.sleep(0.3)
            assert engine._parent is not None
            for spare in list(engine._parent._spares):
                os.kill(spare.pid, signal.SIGKILL)
            assert (await outcome(engine, act("echo", "again")))[0] == Outcome(Ending.EXITED, 0)

    run(kill())


@pytest.mark.slow
def test_stopping_ends_every_command_and_leaves_no_process(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(parallelism=2)

    async def stop() -> None:
        processes = [engine.submit(act("sleep")), engine.submit(act("resist")), engine.submit(act("echo"))]
        pids = [int(await first_line(process)) for process in processes[:2]]
        assert engine._parent is not None
        parent = engine._parent.pid
        await engine.stop("The API server was stopped.")
        ends = [await process.wait() for process in processes]
        assert {end.ending for end in ends} == {Ending.CANCELLED}
        assert {end.message for end in ends} == {"The API server was stopped."}
        for pid in (*pids, parent):
            assert await gone(pid)
        with pytest.raises(Busy):
            engine.submit(act("echo"))

    run(stop())


@pytest.mark.parametrize("fork", [True, False])
def test_when_the_server_is_killed_nothing_of_the_engine_stays(fork: bool, tmp_path: Path):
    program = textwrap.dedent(
        f"""
        import asyncio
        from airflow_rest_api.engine.engine import Engine
        from airflow_rest_api.engine.job import Limits
        from tests.engine.conftest import act, first_line

        async def main():
            engine = Engine(Limits(fork={fork}))
            processes = [engine.submit(act(name)) for name in ("sleep", "start_elsewhere")]
            print(*[await first_line(process) for process in processes], flush=True)
            await processes[0].wait()

        asyncio.run(main())
        """
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=root) as server:
        try:
            assert server.stdout is not None
            pids = {int(pid) for pid in server.stdout.readline().split()}
            family = _descendants(server.pid)
            assert pids <= set(family)
        finally:
            server.kill()

    async def all_gone() -> bool:
        return all([await gone(one) for one in family])

    assert asyncio.run(all_gone())
    if fork:
        assert list(tmp_path.glob("airflow-rest-api-*")) == []


def test_a_plugin_that_starts_a_thread_makes_commands_slow_and_not_wrong(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True, name='meddler').start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]))
    engine = new_engine()

    how, process = run(outcome(engine, act("echo", "works")))
    assert how == Outcome(Ending.EXITED, 0)
    assert process.stdout.text == "'works'\n"
    assert engine._parent is not None
    assert engine._parent.lost


@pytest.mark.parametrize("fork", [True, False])
def test_commands_run_on_after_their_folder_was_cleaned_up(
    run: Run[Any], new_engine: Callable[..., Engine], fork: bool
):
    engine = new_engine(fork=fork, residents=1)

    async def cleaned_up(engine: Any) -> list[Outcome]:
        first, _ = await outcome(engine, act("both"))
        os.rmdir(engine._parent.folder if fork else engine._folder)
        later = [await outcome(engine, act("surroundings", resident=shared)) for shared in (True, False)]
        return [first, *(how for how, _ in later)]

    assert run(cleaned_up(engine)) == [Outcome(Ending.EXITED, 0)] * 3


def test_two_engines_side_by_side_do_not_know_each_other(run: Run[Any], new_engine: Callable[..., Engine]):
    one, two = new_engine(), new_engine()

    async def both() -> None:
        running = one.submit(act("sleep"))
        pid = int(await first_line(running))
        assert (await outcome(two, act("echo", "two")))[1].stdout.text == "'two'\n"
        await two.stop()
        assert alive(pid)
        running.cancel()
        await running.wait()

    run(both())


@pytest.mark.slow
def test_a_hundred_commands_leave_neither_descriptors_nor_threads(run: Run[Any], engine: Engine):
    async def many() -> tuple[int, int]:
        for _ in range(25):
            await asyncio.gather(*(outcome(engine, act("echo", "x")) for _ in range(4)))
        await at_rest(engine)
        await asyncio.sleep(0.5)
        return descriptors(), threading.active_count()

    before = run(many())
    after = run(many())
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]


def _descendants(pid: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found |= {int(entry.name), *_descendants(int(entry.name))}
    return found
