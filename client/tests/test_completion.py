from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_rest_client.cli import main
from airflow_rest_client.cli.completion import BASH
from airflow_rest_client.instances import Instance, Instances

from .conftest import Server

SHELL = f"""
airflow-rest() {{
    if [[ "$1" == __complete ]]; then {sys.executable} -c '{{program}}' "$@"; else printf "<%s>" "$@"; fi
}}
{BASH}
PS1=
""".replace("{program}", "import sys; from airflow_rest_client.cli import main; sys.exit(main())")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("-i here:1\tdags tr\t", ["-i", "here:18600", "dags", "trigger"]),
        ("-i here:\tversion", ["-i", "here:18600", "version"]),
        ("--instance=he\tdags tr\t", ["--instance=here:18600", "dags", "trigger"]),
        ("dags list --output=js\t", ["dags", "list", "--output=json"]),
        ("dags list --output js\t", ["dags", "list", "--output", "json"]),
        ("deploy --ov\t", ["deploy", "--overwrite"]),
    ],
)
def test_bash_completes_words_with_a_colon_and_with_an_equals_sign(
    signed_in: Server, tmp_path: Path, typed: str, words: list[str]
):
    Instances().save(Instance("here:18600", signed_in.url, token="t"))
    (tmp_path / "bashrc").write_text(SHELL)
    here, there = os.openpty()
    line = ["bash", "--noprofile", "--rcfile", str(tmp_path / "bashrc"), "-i"]
    # It says so when it is ready for what is typed.
    env = {**os.environ, "PROMPT_COMMAND": "echo ready", "TERM": "dumb", "INPUTRC": os.devnull}
    shell = subprocess.Popen(line, stdin=there, stdout=there, stderr=there, env=env, start_new_session=True)
    os.close(there)
    shown, left = b"", f"airflow-rest {typed}\nexit\n".encode()
    # At its end Linux has an error for us.
    with suppress(OSError):
        while piece := os.read(here, 1000):
            shown += piece
            if left and b"ready" in shown:
                os.write(here, left)
                left = b""
    os.close(here)
    shell.wait(30)

    assert "".join(f"<{word}>" for word in words) in shown.decode()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["dags", "list", "--output=js"], ["--output=json"]),
        (["dags", "list", "--verbose="], []),
        (["--instance=h"], ["--instance=here"]),
        (["deploy", "--ov"], ["--overwrite"]),
        (["deploy", "--format", ""], ["github", "json", "text"]),
        (["deploy", "--format=g"], ["--format=github"]),
        (["deploy", ""], []),
        (["operations", "list", "--st"], ["--state"]),
        (["operations", "output", "1", "--stream", "stde"], ["stderr"]),
        (["operations", "output", ""], []),
        (["instances", "te"], ["test"]),
        (["login", "--key"], ["--keyring"]),
        (["logout", "--"], ["--help"]),
        (["services", "log", "--fo"], ["--follow"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["completion", "bash", ""], []),
    ],
)
def test_completion_knows_flags_and_values_of_words_of_its_own_and_behind_an_equals_sign(
    signed_in: Server, capfd: pytest.CaptureFixture[str], words: list[str], found: list[str]
):
    Instances().save(Instance("here", signed_in.url, token="t"))

    assert main(["__complete", *words]) == 0
    assert capfd.readouterr().out.split() == found
