"""Work on DAG files, and components, on the host that they are placed on."""

from __future__ import annotations

import re
import signal
from io import BytesIO

import httpx
import psutil
import pytest

from tests.runners.conftest import DAG, Split, until
from tests.server.conftest import Client, family

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

ABOUT = {"path": "team/deployed.py"}
FIRST = DAG.replace("on_runners", "deployed")
SECOND = FIRST.replace('seconds": 1', 'seconds": 2')


def deploy(client: Client, text: str, **fields: str) -> dict[str, object]:
    files = {"file": ("deployed.py", BytesIO(text.encode()))}
    answer = client.post("/dag-files", files=files, data={"folder": "team", **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


@pytest.fixture(scope="module")
def deployed(split: Split, admin: Client) -> dict[str, object]:
    """A file with two versions."""
    first = deploy(admin, FIRST)
    deploy(admin, SECOND, overwrite="true", wait="true")
    return first


def test_a_deployment_is_done_where_the_files_are(split: Split, deployed: dict[str, object]):
    assert (deployed["state"], deployed["queue"]) == ("succeeded", "dags")
    assert str(deployed["runner"]).startswith("one@")
    assert isinstance(deployed["result"], dict)
    assert [dag["dag_id"] for dag in deployed["result"]["dags"]] == ["deployed"]
    assert (split.runners[0].home / "dags" / "team" / "deployed.py").read_text() == SECOND
    assert list(split.stack.dags.rglob("*.py")) == []


def test_what_is_read_of_files_is_read_there(admin: Client, deployed: dict[str, object]):
    def get(what: str = "", **more: object) -> str:
        answer = admin.get(f"/dag-files/file{what}", params={**ABOUT, **more})
        assert answer.status_code == 200, answer.text
        return answer.text

    [bundle] = admin.get("/dag-files/bundles").json()["bundles"]
    assert (bundle["name"], bundle["writable"]) == ("dags-folder", True)
    listed = admin.get("/dag-files").json()["files"]
    assert [file["path"] for file in listed] == ["on_runners.py", "team/deployed.py"]
    assert get("/content") == SECOND
    assert get("/content", version=1) == FIRST
    assert "+with DAG" in get("/diff", from_version=1)
    history = admin.get("/dag-files/file/history", params=ABOUT).json()
    assert [version["version"] for version in history["versions"]] == [2, 1]
    assert '"changed_outside":false' in get()
    # What was asked for an answer alone is in no list.
    commands = {one["command"] for one in admin.get("/operations?limit=200").json()["operations"]}
    assert "read_dag_files" not in commands


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/dag-files/file?path=missing.py", 404, "unknown_file"),
        ("/dag-files/file/content?path=missing.py", 404, "unknown_file"),
        ("/dag-files/file?path=../x.py", 400, "bad_path"),
        ("/dag-files/file?path=a.py&bundle=other", 404, "unknown_bundle"),
        ("/dag-files?folder=team/deployed.py", 400, "bad_folder"),
        ("/dag-files/file/content?path=team/deployed.py&version=99", 404, "unknown_version"),
    ],
)
def test_what_cannot_be_read_there_is_refused_as_here(
    admin: Client, deployed: dict[str, object], path: str, status: int, reason: str
):
    refused = admin.get(path)

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (status, reason)


def test_what_is_refused_there_is_refused_with_the_same_words(admin: Client, deployed: dict[str, object]):
    files = {"file": ("deployed.py", b"from airflow import dag_of_no_name")}
    exists = admin.post("/dag-files", files=files, data={"folder": "team"})
    broken = admin.post("/dag-files", files=files, data={"folder": "elsewhere"})
    missing = admin.delete("/dag-files/file", params={"path": "missing.py"})

    assert (exists.status_code, exists.json()["detail"]["reason"]) == (409, "exists")
    assert (broken.status_code, broken.json()["detail"]["reason"]) == (422, "import_errors")
    assert (missing.status_code, missing.json()["detail"]["reason"]) == (404, "unknown_file")


def test_a_file_is_parsed_and_brought_back_and_deleted_there(
    split: Split, admin: Client, deployed: dict[str, object]
):
    parsed = admin.post("/dag-files/file/refresh", params={**ABOUT, "wait": "true"}).json()
    back = admin.post("/dag-files/file/rollback", params=ABOUT, json={"version": 1}).json()
    there = split.runners[0].home / "dags" / "team" / "deployed.py"

    assert parsed["result"]["parsed_by"] == "runner"
    assert "by the runner" in parsed["warnings"][0]
    assert (back["state"], back["queue"], there.read_text()) == ("succeeded", "dags", FIRST)
    deleted = admin.delete("/dag-files/file", params={**ABOUT, "records": "true"})
    assert deleted.status_code == 200, deleted.text
    assert (deleted.json()["state"], there.exists()) == ("succeeded", False)


def test_nothing_is_parsed_by_the_api_server_although_its_queue_is_named(admin: Client):
    files = {"file": ("x.py", DAG.encode())}
    for path in ("/dag-files", "/dag-files/check"):
        refused = admin.post(path, files=files, headers={"Airflow-Queue": "local"})
        assert (refused.status_code, refused.json()["detail"]["reason"]) == (403, "switched_off")
        assert refused.json()["detail"]["option"] == "run_dag_code"


def test_what_a_runner_without_room_for_a_file_says_is_answered(admin: Client):
    deep = "/".join(["a"] * 15)
    files = {"file": ("/".join(["b"] * 6 + ["x.py"]), b"x = 1")}
    refused = admin.post("/dag-files", files=files, data={"folder": deep})

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (400, "bad_path")


def test_what_is_asked_of_a_runner_belongs_to_no_user_and_goes(split: Split, admin: Client):
    process = split.runners[0].process
    with Client(split.stack) as impatient:
        process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(httpx.ReadTimeout):
                impatient.get("/dag-files", timeout=2)
            [asked] = admin.get("/operations?limit=1").json()["operations"]
        finally:
            process.send_signal(signal.SIGCONT)

    assert (asked["command"], asked["user"], asked["state"]) == ("read_dag_files", "", "queued")

    def gone() -> bool:
        found = admin.get("/operations?limit=20").json()["operations"]
        return "read_dag_files" not in {one["command"] for one in found}

    until(gone, 60)


def test_an_old_deployment_reads_as_ever(split: Split, admin: Client):
    url = f"{split.stack.url}/admin/rest_api/api?api=deploy_dag"
    files = {"dag_file": ("old.py", BytesIO(DAG.replace("on_runners", "old").encode()))}
    answers = [admin.post(url, files=files).json() for _ in range(2)]

    assert answers[0]["output"] == "DAG File [old.py] has been uploaded"
    assert (split.runners[0].home / "dags" / "old.py").exists()
    assert re.fullmatch(r"The file 'old.py' already exists on host '\S+'\.", answers[1]["output"])


def test_a_component_is_started_by_a_runner_and_stopped(split: Split, admin: Client):
    runner = admin.get("/runners").json()["runners"][0]
    started = admin.post("/services", json={"kind": "triggerer", "host": runner["host"]})

    assert started.status_code == 201, started.text
    service = started.json()
    assert service["host"] == runner["host"]
    operation = admin.get(f"/operations/{service['operation_id']}").json()
    assert (operation["command"], operation["queue"]) == ("services start", f"host:{runner['host']}")
    again = admin.post("/services", json={"kind": "triggerer"})
    assert (again.status_code, again.json()["detail"]["reason"]) == (409, "already_running")

    def now() -> dict[str, object]:
        found: dict[str, object] = admin.get(f"/services/{service['id']}").json()
        return found

    until(lambda: now()["state"] == "running", 60, lambda: str(now()))
    pid = now()["pid"]
    assert isinstance(pid, int)
    own = {process.pid for process in family(split.stack)}
    assert not own & {pid, *(above.pid for above in psutil.Process(pid).parents())}
    # On a host of its own, of which no file is seen here.
    log = admin.get(f"/services/{service['id']}/log", params={"stream": "stderr", "tail": 5})
    assert log.status_code == 200, log.text
    with admin.stream("GET", f"/services/{service['id']}/log/events", params={"tail": 100}) as stream:
        assert next(line for line in stream.iter_lines() if line == "event: output")
    stopped = admin.post(f"/services/{service['id']}/stop", headers={"Prefer": "wait=60"})
    assert stopped.json()["state"] == "stopped", stopped.text


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        ({"host": "a b"}, "host"),
        ({"host": "x", "queue": "dags"}, "host"),
        ({"queue": "a b"}, "queue"),
    ],
)
def test_what_cannot_be_a_host_is_refused_by_its_name(admin: Client, body: dict[str, str], argument: str):
    refused = admin.post("/services", json={"kind": "triggerer", **body})

    assert (refused.status_code, refused.json()["detail"]["argument"]) == (400, argument)


def test_a_host_without_a_runner_starts_nothing(admin: Client):
    refused = admin.post("/services", json={"kind": "triggerer", "host": "nowhere"})

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (503, "no_runner")


def test_no_process_of_the_api_server_has_imported_a_dag_file(split: Split):
    own = {process.pid for process in family(split.stack)}
    seen = [path.read_text().split() for path in split.seen.iterdir()]

    assert len(seen) > 2
    assert {name for _, name in seen} == {"one"}
    assert not own & {int(pid) for pid, _ in seen}
