from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from demo.config import SECRETS, is_anothers, write_config, write_passwords
from demo.stack import Stack


def read(path: Path) -> ConfigParser:
    config = ConfigParser()
    config.read(path)
    return config


def secrets_of(path: Path) -> list[str]:
    config = read(path)
    return [config.get(section, name) for section, name, _ in SECRETS]


def test_only_the_owner_can_read_the_configuration_and_the_passwords(tmp_path: Path) -> None:
    write_config(tmp_path / "airflow.cfg", {})
    write_passwords(tmp_path / "passwords.json", ["ada"])
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_are_different_and_as_long_as_they_must_be(tmp_path: Path) -> None:
    path = tmp_path / "airflow.cfg"
    write_config(path, {})
    found = secrets_of(path)
    assert len(set(found)) == len(found)
    assert [len(base64.urlsafe_b64decode(secret)) for secret in found] == [length for *_, length in SECRETS]


def test_a_restart_keeps_secrets_and_what_the_user_added_but_sets_the_port_anew(tmp_path: Path) -> None:
    path = tmp_path / "airflow.cfg"
    write_config(path, {"api": {"port": "8080"}})
    before = secrets_of(path)
    text = path.read_text().replace("parallelism = 4", "parallelism = 9")
    path.write_text(text + "\n[rest_api_plugin]\nparallelism = 2\n")
    write_config(path, {"api": {"port": "8081"}})
    assert secrets_of(path) == before
    assert read(path).get("core", "parallelism") == "9"
    assert read(path).get("rest_api_plugin", "parallelism") == "2"
    assert read(path).get("api", "port") == "8081"


@pytest.mark.slow
def test_what_commands_leave_where_nothing_is_is_no_airflow_of_somebodys(tmp_path: Path) -> None:
    home = tmp_path / "linked" / ".." / "airflow"
    (tmp_path / "linked").mkdir()
    script = "from airflow.configuration import write_default_airflow_configuration_if_needed as w; w()"
    env = {**os.environ, "AIRFLOW_HOME": str(home)}
    subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True, timeout=300)
    config = home.resolve() / "airflow.cfg"
    text = config.read_text()
    assert not is_anothers(home.resolve())

    config.write_text(text.replace(f"sqlite:///{home}", "postgresql://airflow@db.example"))
    assert is_anothers(home.resolve())
    config.write_text(text)
    (home / "airflow.db").touch()
    assert is_anothers(home.resolve())
    (home / "demo.lock").touch()
    assert not is_anothers(home.resolve())


def test_a_value_of_several_lines_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "airflow.cfg"
    path.write_text(
        "[rest_api_plugin]\nplacement =\n    tasks test = heavy\n\n    execute = dags\nfork = True\n"
    )
    for _ in range(2):
        write_config(path, {})
    assert read(path).get("rest_api_plugin", "placement") == "\ntasks test = heavy\n\nexecute = dags"
    assert read(path).options("rest_api_plugin") == ["placement", "fork"]


def test_another_configuration_lends_its_secrets(tmp_path: Path) -> None:
    write_config(tmp_path / "one.cfg", {})
    write_config(tmp_path / "two.cfg", {}, like=tmp_path / "one.cfg")
    assert secrets_of(tmp_path / "two.cfg") == secrets_of(tmp_path / "one.cfg")


def test_a_per_cent_sign_in_a_path_survives(tmp_path: Path) -> None:
    path = tmp_path / "airflow.cfg"
    for _ in range(2):
        write_config(path, {"core": {"dags_folder": "/home/100%/dags"}})
    assert read(path).get("core", "dags_folder") == "/home/100%/dags"


def test_passwords_stay_and_new_users_get_one(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    first = write_passwords(path, ["ada"])
    second = write_passwords(path, ["ada", "grace"])
    assert second["ada"] == first["ada"]
    assert len(second["grace"]) >= 16
    assert json.loads(path.read_text()) == second


def test_a_password_known_from_elsewhere_wins(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    write_passwords(path, ["ada"])
    assert write_passwords(path, ["ada"], {"ada": "lovelace"}) == {"ada": "lovelace"}


@pytest.mark.parametrize("ending", ["", "_CMD", "_SECRET"])
def test_where_a_stack_listens_and_who_its_users_are_is_not_taken_from_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    decided = (
        *("core__dags_folder", "core__simple_auth_manager_users", "core__simple_auth_manager_passwords_file"),
        *("api__host", "api__port", "webserver__web_server_port"),
    )
    for name in decided:
        monkeypatch.setenv(f"AIRFLOW__{name}{ending}".upper(), "another's")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "2")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "chosen")

    environment = Stack(tmp_path).environment
    assert "another's" not in environment.values()
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "chosen"
    mine = Stack(tmp_path, env={"AIRFLOW__API__PORT": "1"})
    assert mine.environment["AIRFLOW__API__PORT"] == "1"
