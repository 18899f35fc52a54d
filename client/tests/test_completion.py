from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from airflow_rest_client.cli import main
from airflow_rest_client.cli.completion import BASH
from airflow_rest_client.instances import Instance, Instances

from .conftest import Server
from .terminal import typed_at

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
    line = ["bash", "--noprofile", "--rcfile", str(tmp_path / "bashrc"), "-i"]
    # It says so when it is ready for what is typed.
    env = {**os.environ, "PROMPT_COMMAND": "echo ready", "TERM": "dumb", "INPUTRC": os.devnull}
    _, shown = typed_at(line, f"airflow-rest {typed}\nexit\n".encode(), prompt=b"ready", env=env)

    assert "".join(f"<{word}>" for word in words) in shown


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
