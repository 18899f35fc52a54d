"""Files: names that lead elsewhere, links that were planted, code that wants to run where it is put."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import httpx
import pytest

from airflow_rest_api.dag_files.upload import CONTROL
from tests.attacks.conftest import server_pids
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

NAMES = [
    "../../../planted.json",
    "..\\..\\planted.json",
    "/tmp/planted.json",
    "....//....//planted.json",
    "%2e%2e%2fplanted.json",
    ".",
    "..",
    "~/planted.json",
    "file:///tmp/planted.json",
    "a" * 5000 + ".json",
    "planted\r\nX-Injected: yes.json",
    "$(touch planted).json",
]


def everything(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if "logs" not in path.parts}


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_an_upload_leads_nowhere(attacked: Stack, admin: Client, tmp_path: Path, name: str):
    upload = {"file": (name, json.dumps({"uploaded": "yes"}), "application/json")}
    before = everything(attacked.home, attacked.dags)
    answer = admin.post("/commands/variables/import", files=upload)

    assert answer.status_code in (200, 400), answer.text
    assert everything(attacked.home, attacked.dags) - before == set()
    assert not Path("/tmp/planted.json").exists()
    assert str(attacked.home) not in answer.text
    assert "airflow-rest-api-" not in answer.text


@pytest.mark.parametrize("name", [*NAMES, "/etc/hostname"])
def test_the_name_of_an_export_leads_nowhere(attacked: Stack, admin: Client, name: str):
    before = everything(attacked.home, attacked.dags)
    for answer in (
        admin.command("variables/export", file=name),
        admin.line("variables", "export", "--", name),
    ):
        assert answer.status_code in (200, 400), answer.text
        assert everything(attacked.home, attacked.dags) - before == set()
        assert not Path("/tmp/planted.json").exists()
        for file in answer.json().get("files", ()):
            assert "/" not in file["name"]
            assert "\\" not in file["name"]
            assert ".." not in file["name"].split(".")


def test_an_export_over_a_file_of_the_server_leaves_it_alone(admin: Client, tmp_path: Path):
    precious = tmp_path / "precious.json"
    precious.write_text("precious")

    said = admin.command("variables/export", file=str(precious)).json()

    assert said["state"] == "succeeded"
    assert precious.read_text() == "precious"
    assert [file["name"] for file in said["files"]] == ["precious.json"]


def test_a_file_of_the_server_is_not_imported_by_its_name(admin: Client, attacked: Stack, tmp_path: Path):
    mine = tmp_path / "mine.json"
    mine.write_text('{"read_from_the_server": "yes"}')

    for answer in (
        admin.command("variables/import", file=str(mine)),
        admin.line("variables", "import", str(mine)),
    ):
        assert answer.status_code == 400
    names = {each["key"] for each in attacked.get("variables")["variables"]}
    assert "read_from_the_server" not in names


def test_a_file_of_another_operation_is_not_reached_by_a_name_with_a_path(admin: Client):
    mine = admin.command("variables/export").json()
    for name in ("../" + mine["id"], "..%2f..%2fetc%2fpasswd", "%2e%2e/secret", "/etc/passwd"):
        answer = admin.get(f"/operations/{mine['id']}/files/{name}")
        assert answer.status_code == 404, name


@pytest.mark.parametrize(
    "name", ["../planted.py", "/tmp/planted.py", ".planted.py", "planted.txt", "a/b.py", "a\\b.py"]
)
def test_a_dag_file_is_deployed_in_the_dags_folder_or_not_at_all(
    attacked: Stack, legacy: httpx.Client, name: str
):
    before = everything(attacked.home, attacked.dags)
    answer = legacy.post(
        "api", params={"api": "deploy_dag", "force": "on"}, files={"dag_file": (name, "planted = 1")}
    )

    # The plugin's own folder, which Airflow passes over, has the lock of the bundle in it.
    new = {path for path in everything(attacked.home, attacked.dags) - before if CONTROL not in path.parts}
    assert {path.parent for path in new} <= {attacked.dags}
    assert not Path("/tmp/planted.py").exists()
    assert answer.status_code in (200, 400), answer.text
    for path in new:
        path.unlink()


def test_a_dag_file_that_is_there_is_not_replaced_unasked(attacked: Stack, legacy: httpx.Client):
    there = attacked.dags / "attacked.py"
    before = there.read_bytes()

    answer = legacy.post("api", params={"api": "deploy_dag"}, files={"dag_file": ("attacked.py", "gone = 1")})

    assert answer.status_code == 400
    assert there.read_bytes() == before


def test_a_link_in_the_dags_folder_is_not_written_through(
    attacked: Stack, legacy: httpx.Client, tmp_path: Path
):
    outside = tmp_path / "outside.py"
    outside.write_text("precious = 1\n")
    link = attacked.dags / "link.py"
    link.symlink_to(outside)

    for force in ({}, {"force": "on"}):
        legacy.post(
            "api", params={"api": "deploy_dag", **force}, files={"dag_file": ("link.py", "attack = 1\n")}
        )
        assert outside.read_text() == "precious = 1\n"
    link.unlink()


def test_uploaded_code_does_not_run_in_the_web_server(attacked: Stack, legacy: httpx.Client, tmp_path: Path):
    trace = tmp_path / "trace"
    code = f"""
import os
with open({str(trace)!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")
from airflow.sdk import DAG
with DAG("uploaded_code", schedule=None):
    pass
"""
    server = server_pids(attacked)
    answer = legacy.post(
        "api", params={"api": "deploy_dag", "pause": "on"}, files={"dag_file": ("uploaded_code.py", code)}
    )

    assert answer.status_code == 200, answer.text
    ran_in = {int(line) for line in trace.read_text().split()}
    assert ran_in
    assert not ran_in & server
    (attacked.dags / "uploaded_code.py").unlink()


@pytest.mark.parametrize("verb", ["import", "export"])
def test_a_link_in_the_exchange_folder_is_not_followed(
    legacy: httpx.Client, exchange_folder: Path, tmp_path: Path, verb: str
):
    outside = tmp_path / "outside.json"
    outside.write_text('{"outside": "precious"}')
    file, folder = exchange_folder / f"{verb}.json", exchange_folder / f"{verb}.d"
    file.symlink_to(outside)
    folder.symlink_to(tmp_path)

    for name in (file.name, f"{folder.name}/outside.json", str(outside), "../outside.json", "/etc/hostname"):
        answer = legacy.get("api", params={"api": "variables", verb: name})
        assert answer.status_code == 400, (name, answer.text)
    assert outside.read_text() == '{"outside": "precious"}'
    file.unlink()
    folder.unlink()


@pytest.mark.parametrize("path", ["/etc", "../..", "/proc/self/cwd", "DAGS_FOLDER/../..", "~root"])
def test_a_subdir_outside_the_dag_bundles_is_refused(legacy: httpx.Client, path: str):
    answer = legacy.get("api", params={"api": "list_dags", "subdir": path})

    assert answer.status_code == 400
    assert "outside the DAG bundles" in answer.json()["output"]


def test_a_cfg_path_has_no_effect(attacked: Stack, legacy: httpx.Client, tmp_path: Path):
    planted = tmp_path / "planted.cfg"
    planted.write_text("[core]\ndags_folder = /etc\n")
    answer = legacy.get("api", params={"api": "list_dags", "cfg_path": str(planted)})

    assert "cfg_path" in answer.json()["warning"]


def test_archives_are_nothing_special(attacked: Stack, admin: Client, legacy: httpx.Client):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b"0" * 2**26)
    for name in ("bomb.zip", "bomb.json"):
        upload = {"file": (name, packed.getvalue())}
        said = admin.post("/commands/variables/import", files=upload).json()
        assert said["state"] == "failed", said
    # Where an archive is unpacked, that ends at a bound.
    answer = legacy.post(
        "api", params={"api": "deploy_dag"}, files={"dag_file": ("bomb.zip", packed.getvalue())}
    )
    assert answer.status_code == 413
    assert "unpacks to more" in answer.json()["output"]
    # Nor is a compressed body ever unpacked.
    body = httpx.ByteStream(b"\x1f\x8b" + b"\0" * 100)
    compressed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert admin.post("/run", content=b"".join(body), headers=compressed).status_code == 400


def test_the_log_folder_is_not_read_through_a_component(attacked: Stack, admin: Client, legacy: httpx.Client):
    """Starting a component with the log of another one as its own showed that from its beginning."""
    logs = attacked.home / "logs"
    (logs / "of_others.log").write_text("hunter2\n")
    (logs / "linked.log").symlink_to(attacked.home / "airflow.cfg")
    (logs / "hard.log").hardlink_to(attacked.home / "airflow.cfg")
    os.mkfifo(logs / "pipe.log")
    (logs / "folder.log").mkdir()
    config = (attacked.home / "airflow.cfg").read_bytes()
    for name in ("of_others.log", "linked.log", "hard.log", "pipe.log", "folder.log", "api-server.out"):
        for argument in ("stdout", "stderr", "log-file"):
            answer = legacy.get("api", params={"api": "kerberos", argument: name})
            assert answer.status_code == 400, (name, argument, answer.text)
            assert f"The log file '{name}' cannot be written" in answer.json()["output"]
    for service in admin.get("/services").json()["services"]:
        for path in ("", "/log", "/log?stream=stderr", "/log?tail=100", "/log/events?tail=100"):
            shown = admin.get(f"/services/{service['id']}{path}").text
            assert "hunter2" not in shown
            assert "fernet_key" not in shown
            assert "Uvicorn running" not in shown
    assert (attacked.home / "airflow.cfg").read_bytes() == config
    assert (logs / "of_others.log").read_text() == "hunter2\n"
