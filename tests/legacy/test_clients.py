"""Clients of the 1.x plugin as they were written: what each sends, and what it reads of the answer."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urljoin

import pytest

from demo.client import request
from tests.legacy.client import Client
from tests.legacy.conftest import COMPONENTS, DAGS
from tests.legacy.test_effects import deploy
from tests.stacks import STORED_AT_ONCE, Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

LONG_IDS = (
    "team_customer_orders_incremental_load_to_warehouse_production_eu_west_1_hourly_with_retries_and_v2",
    "team_" + "l" * 239,
)
QUICK = (
    "c_workflow_1",
    "c_workflow_2",
    "c_workflow_3",
    "c_report",
    "c_report_blank",
    "c_report_letters",
    "c_bridge",
    "c_reset",
    "c_invoke",
    "c_ruby",
)
DAG_FILE = f"""
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator

WORDS = dict(schedule=None, start_date=datetime(2018, 1, 1), catchup=False)
for name in {(*QUICK, *LONG_IDS)!r}:
    with DAG(name, **WORDS):
        EmptyOperator(task_id="first") >> EmptyOperator(task_id="second")
with DAG("c_slow", **WORDS):
    BashOperator(task_id="t", bash_command="sleep 5")
with DAG("c_fails", **WORDS):
    BashOperator(task_id="t", bash_command="exit 3")
with DAG("c_backfill", schedule="@daily", start_date=datetime(2018, 1, 1), catchup=False):
    EmptyOperator(task_id="t", depends_on_past=True)
"""
CREATED = re.compile(r"Created <DagRun (\S+) @ (\S+ ?\S+): (.+), externally triggered: True>")
HEADER_TOKEN = "a-shared-secret"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def clients(client: Client) -> Client:
    """The package's Airflow, with the DAGs of the clients."""
    assert deploy(client, "clients.py", DAG_FILE, unpause="on")[0] == 200
    return client


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """
    A client without credentials of its own, of an Airflow with the options that old clients may need.

    Its header token alone acts as a user, run ids may have blanks and any letters in them, and logs are JSON.
    """
    home = tmp_path_factory.mktemp("scripts")
    dags = home / "dags"
    shutil.copytree(DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "clients.py").write_text(DAG_FILE)
    env = {
        "AIRFLOW__REST_API_PLUGIN__REST_API_PLUGIN_EXPECTED_HTTP_TOKEN": HEADER_TOKEN,
        "AIRFLOW__REST_API_PLUGIN__HTTP_TOKEN_USERNAME": "admin",
        "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": r"^[\w ~:.+-]+$",
        "AIRFLOW__LOGGING__JSON_LOGS": "True",
        **STORED_AT_ONCE,
    }
    expect = ("c_report", "golden_basic")
    with Stack(home / "airflow", components=COMPONENTS, dags=dags, env=env, expect=expect) as stack:
        client = Client(stack)
        client.credentials = ""
        client.headers = {"rest_api_plugin_http_token": HEADER_TOKEN}
        yield client


@pytest.fixture(params=["a login", "the header token alone"])
def either(request: pytest.FixtureRequest) -> Client:
    """A client that has signed in, and one that sends the header token and nothing else."""
    if request.param == "the header token alone":
        scripts: Client = request.getfixturevalue("scripts")
        return scripts
    stack = request.getfixturevalue("clients").stack
    signed_in = Client(stack)
    signed_in.credentials = f"Bearer {sign_in(stack, refresh='true')['access_token']}"
    return signed_in


def sign_in(stack: Stack, **more: Any) -> dict[str, str]:
    body = {"username": "admin", "password": stack.passwords["admin"], "provider": "db", **more}
    tokens: dict[str, str] = request("POST", f"{stack.url}/api/v1/security/login", body)
    return tokens


def seen_until_done(client: Client, **arguments: str) -> list[str]:
    """Return what a poller of dag_state reads until the run has ended: it knows three words."""
    seen: list[str] = []
    end = time.monotonic() + 240
    while time.monotonic() < end:
        answer = client.ask(api="dag_state", **arguments)
        assert answer["output"]["stderr"] == ""
        seen.append(answer["output"]["stdout"].strip())
        assert seen[-1] in ("running", "success", "failed"), seen
        if seen[-1] != "running":
            return seen
        time.sleep(0.5)
    raise AssertionError(f"It did not end: {seen[-1]}")


def to_the_second(date: str) -> str:
    """Return a date as clients keep it."""
    return date.replace(" ", "T").partition(".")[0].partition("+")[0]


def created(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Return what a client takes out of the text of trigger_dag: DAG, date and id of the run."""
    found = CREATED.search(answer["output"]["stdout"])
    assert found, answer
    return found[1], found[2], found[3]


def test_an_experiment_makes_a_pool_finds_its_dag_and_resumes_it(either: Client) -> None:
    pool = {"pool_name": "experiment", "slot_count": "4", "description": "of an experiment"}
    assert "experiment" in either.ask(api="pool", cmd="set", **pool)["output"]["stdout"]
    listed = either.ask(api="list_dags")["output"]["stdout"]
    for dag_id in LONG_IDS:
        assert dag_id in listed
        assert dag_id in listed.splitlines()
        assert either.ask("POST", api="unpause", dag_id=dag_id)["output"]["stdout"].strip()


def test_the_ids_of_dags_that_an_experiment_looks_for_are_as_long_as_those_of_others() -> None:
    assert [len(dag_id) for dag_id in LONG_IDS] == [98, 244]


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_workflow_service_triggers_a_dag_and_finds_its_run_again(clients: Client, generation: int) -> None:
    dag_id = f"c_workflow_{generation}"
    answer = clients.ask("POST", api="trigger_dag", dag_id=dag_id, conf='{"order": 4711, "of": "ü"}')
    assert (answer["http_response_code"], answer["output"]["stderr"]) == (200, "")
    assert "Created <DagRun " in answer["output"]["stdout"]
    if generation == 3:
        made, date, run_id = created(answer)
        assert made == dag_id
        assert clients.state(dag_id, quote(run_id)) in ("queued", "running", "success")
    else:
        date = datetime.strptime(answer["response_time"], "%a, %d %b %Y %H:%M:%S GMT").isoformat()
    assert seen_until_done(clients, dag_id=dag_id, execution_date=to_the_second(date))[-1] == "success"


def test_a_workflow_service_adds_and_deletes_a_connection_once(clients: Client) -> None:
    add = {"api": "connections", "add": "True", "conn_id": "c_once", "conn_uri": "http://u:p@h:80"}
    delete = {"api": "connections", "delete": "True", "conn_id": "c_once"}
    for arguments, words in ((add, "Successfully added"), (delete, "Successfully deleted")):
        answer = clients.ask("POST", **arguments)
        assert words in answer["output"]["stdout"]
        assert answer["output"]["stderr"] == ""
        listed = clients.ask(api="connections", list="True")["output"]["stdout"]
        assert ("'c_once'" in listed) is (arguments is add)
        status, again = clients.pose("POST", **arguments)
        assert (status, again["status"]) == (500, "ERROR")
        assert "c_once" in again["output"]["stdout"]


BLANK, LETTERS = "user1_2018-06-07 13:21:49", "läuf-日本"


@pytest.mark.parametrize("run_id", [BLANK, LETTERS])
def test_a_run_id_that_airflow_is_configured_not_to_take_is_refused_with_the_option(
    clients: Client, run_id: str
) -> None:
    status, answer = clients.pose(api="trigger_dag", dag_id="c_report", run_id=run_id)
    assert (status, answer["status"]) == (400, "ERROR")
    assert run_id in answer["output"]
    assert "[scheduler] allowed_run_id_pattern is '^[A-Za-z0-9_.~:+-]+$'" in answer["output"]


@pytest.mark.parametrize("run_id", [BLANK, LETTERS])
def test_a_reporter_triggers_a_run_by_a_name_of_its_own_where_that_is_allowed(
    scripts: Client, run_id: str
) -> None:
    dag_id = "c_report_blank" if run_id == BLANK else "c_report_letters"
    triggered = scripts.ask(api="trigger_dag", dag_id=dag_id, run_id=run_id)
    _, date, made = created(triggered)
    assert (made, triggered["dag_run_id"]) == (run_id, run_id)
    assert date.count(" ") == 1
    seen_until_done(scripts, dag_id=dag_id, execution_date=to_the_second(date))
    arguments = {"dag_id": dag_id, "task_id": "second", "execution_date": date.partition("+")[0]}
    answer = scripts.ask(api="task_state", **arguments)
    assert answer["output"] == {"stdout": "success\n", "stderr": "", "stdin": ""}
    # Its address is one of Airflow's own REST API.
    address = urljoin(scripts.stack.url, triggered["dag_run_url"])
    assert request("GET", address, token=scripts.stack.token())["dag_run_id"] == run_id


def test_a_reporter_reads_the_state_of_a_task_as_bare_text(clients: Client) -> None:
    _, date, _ = created(clients.ask("POST", api="trigger_dag", dag_id="c_report"))
    seen_until_done(clients, dag_id="c_report", execution_date=to_the_second(date))
    with_a_blank = date.partition("+")[0].replace("T", " ")
    answer = clients.ask(api="task_state", dag_id="c_report", task_id="first", execution_date=with_a_blank)
    assert answer["output"]["stdout"].strip() == "success"


def test_a_bridge_from_a_job_scheduler_reads_states_and_an_empty_stderr(clients: Client) -> None:
    date, of_run = "2018-06-07T13:21:49", {"dag_id": "c_bridge", "execution_date": "2018-06-07T13:21:49"}
    made = clients.ask(api="trigger_dag", dag_id="c_bridge", run_id="job_4711", exec_date=date)
    assert created(made) == ("c_bridge", f"{date}+00:00", "job_4711")
    assert seen_until_done(clients, **of_run)[-1] == "success"
    status, tree = clients.send("GET", "api=list_tasks&dag_id=c_bridge&tree")
    assert status == 200
    assert tree["output"]["stdout"] == "<Task(EmptyOperator): first>\n    <Task(EmptyOperator): second>\n"
    state = clients.ask(api="task_state", task_id="first", **of_run)
    assert state["output"]["stdout"].strip() == "success"
    run = clients.ask("POST", api="run", task_id="first", ignore_all_dependencies="on", **of_run)
    assert "c_bridge.first" in run["output"]["stdout"]
    for answer in (made, tree, state, run):
        assert (answer["status"], answer["output"]["stderr"]) == ("OK", "")
    assert seen_until_done(clients, **of_run)[-1] == "success"


def test_a_reset_script_sees_running_success_and_failed_and_nothing_else(clients: Client) -> None:
    ends = {}
    for dag_id in ("c_reset", "c_fails"):
        answer = clients.ask("POST", api="trigger_dag", dag_id=dag_id, conf='{"user_id": "a, b"}')
        _, date, _ = created(answer)
        ends[dag_id] = seen_until_done(clients, dag_id=dag_id, execution_date=to_the_second(date))[-1]
    assert ends == {"c_reset": "success", "c_fails": "failed"}


def test_a_test_of_a_cluster_sees_its_run_running_with_its_first_look(clients: Client) -> None:
    date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    clients.ask(api="clear", dag_id="c_slow", no_confirm="True")
    clients.ask(api="unpause", dag_id="c_slow")
    clients.ask(api="trigger_dag", dag_id="c_slow", exec_date=date)
    of_run = {"dag_id": "c_slow", "execution_date": date}
    assert clients.ask(api="dag_state", **of_run)["output"]["stdout"].strip() == "running"
    assert clients.ask(api="connections", list="on")["status"] == "OK"
    assert seen_until_done(clients, **of_run)[-1] == "success"


def test_a_run_of_a_paused_dag_is_running_for_who_asks(clients: Client) -> None:
    clients.ask(api="pause", dag_id=LONG_IDS[0])
    _, date, _ = created(clients.ask(api="trigger_dag", dag_id=LONG_IDS[0]))
    answer = clients.ask(api="dag_state", dag_id=LONG_IDS[0], execution_date=to_the_second(date))
    assert (answer["output"]["stdout"], answer["state"]) == ("running\n", "queued")


def test_an_invoker_sends_an_empty_object_with_a_get_and_both_tokens(scripts: Client) -> None:
    token = sign_in(scripts.stack)["access_token"]
    query = "api=trigger_dag&dag_id=c_invoke"
    both = {"Authorization": f"Bearer {token}"}
    status, answer = scripts.send("GET", query, b"{}", "application/json", **both)
    assert (status, answer["status"], answer["post_arguments"]) == (200, "OK", {})
    assert created(answer)[0] == "c_invoke"
    # The header token goes first, and a bad bearer token is not made good by it.
    without = {"rest_api_plugin_http_token": "wrong"}
    status, answer = scripts.send("GET", query, b"{}", "application/json", **both, **without)
    assert (status, answer["output"]) == (403, "Token Authentication Failed")
    bad = {"Authorization": "Bearer nonsense"}
    assert scripts.send("GET", query, b"{}", "application/json", **bad)[0] == 422


JOB = """
from datetime import datetime
from airflow.sdk import DAG
with DAG("c_job", schedule=None, start_date=datetime(2018, 1, 1)):
    pass
"""


def test_a_job_service_uploads_a_dag_and_triggers_it_at_once(clients: Client) -> None:
    parts = [
        'Content-Disposition: form-data; name="force"\r\n\r\non',
        'Content-Disposition: form-data; name="dag_file"; filename="c_job.py"\r\n'
        f"Content-Type: plain/text; charset=UTF-8\r\n\r\n{JOB}",
    ]
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    status, answer = clients.send("POST", "api=deploy_dag", body.encode(), "multipart/form-data; boundary=b")
    assert (status, answer["output"]) == (200, "DAG File [c_job.py] has been uploaded")
    clients.ask("POST", api="unpause", dag_id="c_job")
    assert created(clients.ask("POST", api="trigger_dag", dag_id="c_job"))[0] == "c_job"


def test_a_renewer_gets_an_access_token_for_an_empty_text(clients: Client) -> None:
    tokens = sign_in(clients.stack, refresh=True)
    headers = {"Authorization": f"Bearer {tokens['refresh_token']}", "Content-Type": "text/plain"}
    message = urllib.request.Request(
        f"{clients.stack.url}/api/v1/security/refresh", b"", headers, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(message, timeout=60) as response:
        renewed = json.load(response)["access_token"]
    assert renewed != tokens["access_token"]
    another = Client(clients.stack)
    another.credentials = f"Bearer {renewed}"
    assert another.ask(api="version")["status"] == "OK"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_front_end_creates_a_backfill_with_an_argument_of_old(clients: Client, method: str) -> None:
    day = "2018-06-07" if method == "GET" else "2018-06-08"
    arguments = {
        "api": "backfill",
        "dag_id": "c_backfill",
        "start_date": day,
        "end_date": day,
        "ignore_first_depends_on_past": "True",
    }
    status, answer = clients.backfill("c_backfill", lambda: clients.pose(method, **arguments))
    assert (status, answer["status"]) == (200, "OK")
    assert answer["output"]["stdout"].strip()
    assert "ignore_first_depends_on_past" in answer["warning"]
    runs = clients.stack.get("dags/c_backfill/dagRuns?limit=100")["dag_runs"]
    assert f"{day}T00:00:00Z" in [run["logical_date"] for run in runs]


def test_the_button_of_a_chat_sends_what_is_no_json_under_its_name(clients: Client) -> None:
    status, answer = clients.send("POST", "api=list_dags", b"serviceKey=abc", "application/json")
    assert (status, answer["status"]) == (200, "OK")
    assert "golden_basic" in answer["output"]["stdout"]


def test_the_lines_of_a_handbook_deploy_a_file_with_a_header_token(scripts: Client) -> None:
    boundary = "------------------------d74496d66958873e"
    part = (
        'Content-Disposition: form-data; name="dag_file"; filename="c_handbook.py"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    force = 'Content-Disposition: form-data; name="force"\r\n\r\non'
    content = JOB.replace("c_job", "c_handbook")
    body = f"--{boundary}\r\n{part}{content}\r\n--{boundary}\r\n{force}\r\n--{boundary}--\r\n"
    kind = f"multipart/form-data; boundary={boundary}"
    sent = {"Accept": "*/*", "User-Agent": "curl/7.58.0"}
    status, answer = scripts.send("POST", "api=deploy_dag", body.encode(), kind, **sent)
    assert (status, answer["status"]) == (200, "OK")
    assert scripts.send("GET", "api=version", **sent)[0] == 200
    status, answer = scripts.send("GET", "api=version", rest_api_plugin_http_token="")
    assert (status, answer["status"]) == (403, "ERROR")


def test_a_trigger_service_sends_json_as_it_is_in_its_query(clients: Client) -> None:
    conf = '{"execution_date":"2018-06-07T13:21:49+00:00"}'
    status, answer = clients.send("GET", f"api=trigger_dag&dag_id=c_ruby&conf={conf}")
    assert (status, answer["status"]) == (200, "OK")
    run = clients.stack.get(f"dags/c_ruby/dagRuns/{quote(answer['dag_run_id'])}")
    # A plus sign is a blank in a query, as it was.
    assert run["conf"] == {"execution_date": "2018-06-07T13:21:49 00:00"}


def test_lines_of_a_json_log_are_in_no_answer(scripts: Client) -> None:
    added = scripts.ask(api="connections", add="on", conn_id="c_typed", conn_type="no_such_type")
    assert added["output"]["stdout"] == "\n\tSuccessfully added `conn_id`=c_typed : no_such_type://:@:\n\n"
    assert added["output"]["stderr"] == ""
    assert "no_such_type" in added["warning"]
    for arguments in (
        {"api": "list_dags", "report": "on"},
        {"api": "list_tasks", "dag_id": "golden_basic"},
        {"api": "pool"},
        {"api": "connections"},
        {"api": "variables"},
    ):
        assert '"event"' not in scripts.ask(**arguments)["output"]["stdout"]
    listed = scripts.ask(api="list_tasks", dag_id="golden_basic")["output"]["stdout"]
    assert listed == "py_task\nsay_bye\nsay_hello\n"
