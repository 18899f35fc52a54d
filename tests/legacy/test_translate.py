from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from airflow_rest_api.airflow.compat.dates import parse
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Argument, Command, Effect
from airflow_rest_api.errors import Refusal, UnknownCommand
from airflow_rest_api.json_text import MOST_VALUES
from airflow_rest_api.legacy.model import (
    Action,
    Answer,
    Deploy,
    Ignored,
    LegacyWork,
    RunChild,
    StartService,
)
from airflow_rest_api.legacy.model import TranslationContext as Context
from airflow_rest_api.legacy.names import counterpart
from airflow_rest_api.legacy.request import Sent, SentBody, parse_pairs, understand
from airflow_rest_api.legacy.translate import dates, translate

TASK = "dag_id=d&task_id=t&execution_date=2026-11-10"


@pytest.fixture(scope="session")
def context() -> Context:
    """Return what is known where commands are asked for their own text."""
    return Context(load_catalog())


@pytest.fixture(scope="session")
def as_json(context: Context) -> Context:
    """Return what is known where commands are asked for JSON, of which the text of 1.x is made."""
    return Context(context.catalog, "/exchange", as_json=True)


def action(context: Context, query: str, body: SentBody | None = None) -> Action:
    return translate(understand(Sent(parse_pairs(query), body or SentBody())), context)


def work(context: Context, query: str, body: SentBody | None = None) -> LegacyWork:
    found = action(context, query, body)
    assert isinstance(found, LegacyWork)
    return found


def child(context: Context, query: str) -> RunChild:
    found = action(context, query)
    assert isinstance(found, RunChild)
    return found


def service(context: Context, query: str) -> StartService:
    found = action(context, query)
    assert isinstance(found, StartService)
    return found


def refusal(context: Context, query: str, body: SentBody | None = None) -> str:
    with pytest.raises(Refusal) as refused:
        action(context, query, body)
    return refused.value.message


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("api=pause&dag_id=d", "airflow dags pause --yes -- d"),
        ("api=unpause&dag_id=d", "airflow dags unpause --yes -- d"),
        ("api=list_dags", "airflow dags list"),
        ("api=list_dags&report", "airflow dags list && airflow dags report"),
        ("api=list_tasks&dag_id=d", "airflow tasks list -- d"),
        ("api=list_tasks&dag_id=d&tree", "airflow list_tasks --tree d"),
        ("api=dag_state&dag_id=d&execution_date=--help", "airflow dags state -- d --help"),
        (f"api=render&{TASK}", "airflow tasks render -- d t 2026-11-10"),
        (f"api=task_state&{TASK}", "airflow tasks state -- d t 2026-11-10"),
        (f"api=task_failed_deps&{TASK}", "airflow tasks failed-deps -- d t 2026-11-10"),
        (f"api=test&{TASK}", "airflow tasks test -- d t 2026-11-10"),
        (f"api=test&{TASK}&dry_run", "airflow tasks render -- d t 2026-11-10"),
        (f"api=run&{TASK}&force&local", "airflow run --force --local d t 2026-11-10"),
        ("api=variables", "airflow variables list"),
        ("api=variables&get=k&json", "airflow variables get --json -- k"),
        ("api=variables&get=k&delete=k", "airflow variables get -- k && airflow variables delete -- k"),
        ("api=variables&cmd=SET&key=k&value=-v", "airflow variables set -- k -v"),
        ("api=pool&get=p", "airflow pools get -- p"),
        ("api=pool&cmd=set&pool_name=p&slot_count=5", "airflow pools set -- p 5 ''"),
        ("api=pool&cmd=set&pool_name=p&slot_count=5&pool_description=o", "airflow pools set -- p 5 o"),
        ("api=connections", "airflow connections list"),
        ("api=connections&delete=on&conn_id=c", "airflow connections delete -- c"),
        (
            "api=connections&add=on&conn_id=c&conn_uri=x://u:p@h",
            "airflow connections add '--conn-uri=***' -- c",
        ),
        ("api=clear&dag_id=d&only_failed&no_confirm=no", "airflow tasks clear --only-failed --yes -- d"),
        ("api=scheduler&num_runs=2", "airflow scheduler --num-runs=2"),
        ("api=kerberos&principal=p&keytab=/k", "airflow kerberos --keytab=/k -- p"),
        ("api=worker&queues=a,b&concurrency=2", "airflow celery worker --concurrency=2 --queues=a,b"),
    ],
)
def test_a_request_becomes_todays_command(context: Context, query: str, line: str) -> None:
    assert work(context, query).airflow_cmd == line


def test_a_date_to_trigger_for_has_two_names(context: Context) -> None:
    line = "airflow dags trigger --logical-date=2026-11-10 --run-id=r -- d"
    assert (
        work(context, "api=trigger_dag&dag_id=d&run_id=r&exec_date=2026-11-10&execution_date=x").airflow_cmd
        == line
    )
    assert work(context, "api=trigger_dag&dag_id=d&run_id=r&execution_date=2026-11-10").airflow_cmd == line


@pytest.mark.parametrize(
    ("conf", "word"),
    [
        ("{no", "valid JSON"),
        ("[1]", "JSON object"),
        ("5", "JSON object"),
        ('{"a":NaN}', "valid JSON"),
        ('{"a":[-Infinity]}', "valid JSON"),
        ('{"a":1e999}', "valid JSON"),
    ],
)
def test_a_configuration_that_is_no_json_object_is_refused(context: Context, conf: str, word: str) -> None:
    assert word in refusal(context, f"api=trigger_dag&dag_id=d&conf={conf}")
    assert word in refusal(context, f"api=test&{TASK}&task_params={conf}")


def test_a_configuration_that_is_null_is_none(context: Context) -> None:
    assert work(context, "api=trigger_dag&dag_id=d&conf=null").airflow_cmd == "airflow dags trigger -- d"
    line = "airflow tasks test -- d t 2026-11-10"
    assert work(context, f"api=test&{TASK}&task_params=null").airflow_cmd == line


@pytest.mark.parametrize(
    ("values", "word"),
    [("1," * MOST_VALUES, f"more than {MOST_VALUES} values"), ("[" * 200, "more than 100 levels deep")],
    ids=["many", "deep"],
)
def test_a_configuration_with_too_much_in_it_is_refused_unread(
    context: Context, values: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", lambda *args, **options: pytest.fail("it was read"))
    body = SentBody([("conf", f'{{"a": [{values}]}}')])
    assert word in refusal(context, "api=trigger_dag&dag_id=d", body)


def test_wrong_values_are_refused_in_the_parsers_words(context: Context) -> None:
    assert "invalid parse value: 'xx'" in refusal(context, "api=clear&dag_id=d&start_date=xx")
    assert "invalid parse value: 'xx'" in refusal(context, "api=backfill&dag_id=d&start_date=xx")
    assert "invalid int value: 'many'" in refusal(context, "api=pool&cmd=set&pool_name=p&slot_count=many")


def test_what_has_no_counterpart_is_named(context: Context) -> None:
    found = work(
        context, "api=backfill&dag_id=d&start_date=2026-11-03&end_date=2026-11-04&task_regex=x&local&pool=p"
    )
    assert found.warnings == [
        "Argument(s) ['task_regex', 'local', 'pool'] have no effect: "
        "'airflow backfill create' has no such option"
    ]
    assert work(context, f"api=run&{TASK}&pickle=9&ship_dag").warnings == [
        "Argument(s) ['ship_dag', 'pickle'] have no effect"
    ]


def test_what_chooses_the_tasks_of_a_dry_run_has_an_effect_there(as_json: Context) -> None:
    query = "api=backfill&dag_id=d&start_date=2026-11-10&task_regex=t&ignore_dependencies"
    assert [one.names for one in work(as_json, query).warnings if isinstance(one, Ignored)] == [
        ("task_regex", "ignore_dependencies")
    ]
    assert work(as_json, f"{query}&dry_run").warnings == []


def test_what_is_always_the_case_is_not_worth_a_warning(context: Context) -> None:
    assert work(context, "api=clear&dag_id=d&no_confirm").warnings == []
    assert work(context, "api=kerberos&daemon").warnings == []


def test_of_two_dates_both_are_taken_as_they_are() -> None:
    assert dates("2026-11-03T05:00", "2026-11-04") == ("2026-11-03T05:00", "2026-11-04")


@pytest.mark.parametrize("given", [("2026-11-03", None), (None, "2026-11-03"), (" 2026-11-03 ", None)])
def test_one_date_alone_means_that_day(given: tuple[str | None, str | None]) -> None:
    assert dates(*given) == ("2026-11-03T00:00:00", "2026-11-03T23:59:59")


@pytest.mark.parametrize(
    "given", ["20261103", "2026/11/03", "2026/11/3", "2026-11-3", "11/03/2026", "11/3/2026"]
)
def test_so_does_one_in_another_form_of_airflows(given: str) -> None:
    assert dates(given, None) == ("2026-11-03T00:00:00", "2026-11-03T23:59:59")
    assert parse(given) == parse("2026-11-03")


@pytest.mark.parametrize("given", ["2026110300", "now", "20261103T05", "11/2026", "1/2/3"])
def test_what_is_no_day_is_left_to_airflow(given: str) -> None:
    assert dates(given, None) == (given, given)


@pytest.mark.parametrize("zone", ["Z", "+09:00", "-0330"])
def test_a_day_keeps_its_time_zone(zone: str) -> None:
    assert dates(f"2026-11-03{zone}", None) == (f"2026-11-03T00:00:00{zone}", f"2026-11-03T23:59:59{zone}")


@pytest.mark.parametrize(
    "date", ["2026-11-03T05:00:00", "2026-11-03 07:00:00+09:00", "2026-11-03T00:00:00", "2026-11-03T05"]
)
def test_one_date_with_a_time_is_that_moment(date: str) -> None:
    assert dates(date, None) == dates(None, date) == (date, date)


def test_a_backfill_needs_a_date(context: Context) -> None:
    assert refusal(context, "api=backfill&dag_id=d") == "Provide a start_date and/or end_date"


def test_a_variable_is_set_with_key_and_value(context: Context) -> None:
    assert refusal(context, "api=variables&cmd=set&key=k") == "The argument(s) ['value'] are required"
    assert work(context, "api=variables&key=k&value=v").warnings == [
        "Argument 'key' has no effect without 'cmd=set'",
        "Argument 'value' has no effect without 'cmd=set'",
    ]


def test_the_three_verbs_of_connections_exclude_each_other(context: Context) -> None:
    assert "['list', 'add']" in refusal(context, "api=connections&list=on&add=on&conn_id=c")
    assert work(context, "api=connections&list=false").airflow_cmd == "airflow connections list"
    assert refusal(context, "api=connections&delete=on") == "The argument(s) ['conn_id'] are required"


@pytest.mark.parametrize("name", ["type", "host", "login", "password", "schema", "port"])
def test_what_the_uri_of_a_connection_says_is_not_said_beside_it(context: Context, name: str) -> None:
    query = f"api=connections&add=on&conn_id=c&conn_extra={{}}&conn_{name}=1"
    found = work(context, f"{query}&conn_uri=x://h")
    line = "airflow connections add '--conn-extra=***' '--conn-uri=***' -- c"
    assert sorted(found.airflow_cmd.split()) == sorted(line.split())
    assert found.warnings == [f"Argument(s) ['conn_{name}'] have no effect: 'conn_uri' comes first"]
    assert found.ignored == [f"conn_{name}"]
    assert work(context, query).warnings == []


def test_import_and_export_need_a_folder(context: Context) -> None:
    assert "exchange_folder" in refusal(context, "api=variables&import=x.json")


def test_a_dag_id_with_a_nul_character_does_not_exist(context: Context) -> None:
    assert refusal(context, "api=list_tasks&dag_id=d%00") == "The DAG ID 'd\0' does not exist"


def test_nor_does_one_that_is_longer_than_any(context: Context) -> None:
    long = "x" * 1001
    for api in ("list_tasks", "list_tasks&tree", "refresh_dag"):
        assert refusal(context, f"api={api}&dag_id={long}") == f"The DAG ID '{long}' does not exist"
    assert work(context, f"api=list_tasks&dag_id={'x' * 1000}").warnings == []


def test_the_log_of_a_component_is_a_name_in_the_log_folder(context: Context) -> None:
    found = service(context, "api=scheduler&stdout=/var/log/x.out&stderr=x.err")
    assert (found.plan.stdout, found.plan.stderr) == ("x.out", "x.err")
    assert "'x.out' is used" in found.warnings[0]
    worker = service(context, "api=worker&log-file=x.log").plan
    assert (worker.stdout, worker.stderr) == ("x.log", "x.log")
    server = service(context, "api=serve_logs").plan
    assert (server.stdout, server.stderr) == ("airflow-serve_logs.log", "airflow-serve_logs.log")
    for name in ("..", "/", ".hidden", "a%0Ab", "x" * 201):
        assert "must be the name of a file" in refusal(context, f"api=scheduler&log-file={name}")


def test_components_are_argument_lists(context: Context) -> None:
    found = service(context, "api=worker&queues=a;b%20$(c)")
    assert found.plan.invocation.argv == ["celery", "worker", "--queues=a;b $(c)"]
    assert found.recorded.effect is Effect.SERVICE


def test_the_pid_file_of_a_component_is_a_name_in_the_run_folder(context: Context) -> None:
    def pid_file(query: str) -> str | None:
        return service(context, query).plan.pid_file

    assert pid_file("api=scheduler") is None
    assert pid_file("api=worker&daemon") == "airflow-worker.pid"
    assert pid_file("api=worker&daemon&pid=mine.pid") == "mine.pid"
    found = service(context, "api=worker&pid=/run/airflow/x.pid")
    assert found.plan.pid_file == "x.pid"
    assert found.warnings == ["Argument 'pid' names a file in Airflow's home folder: 'x.pid' is used"]
    for name in ("airflow.cfg", "..", ".hidden.pid", "a%0A.pid"):
        assert "'pid' must be the name of a file" in refusal(context, f"api=worker&pid={name}")


def test_the_dag_and_the_path_that_a_scheduler_is_given_are_looked_at(context: Context) -> None:
    component = service(context, "api=scheduler&dag_id=d&subdir=/x").plan
    assert component.extra == {"dag_id": "d", "subdir": "/x"}


def upload(name: str, query: str = "", **fields: str) -> tuple[str, SentBody]:
    body = SentBody(
        list(fields.items()), dict(fields), {"dag_file": UploadFile(BytesIO(b"x"), filename=name)}
    )
    return f"api=deploy_dag{query}", body


def deployed(context: Context, name: str, query: str = "", **fields: str) -> dict[str, Any]:
    """Return what is asked for of the deployment of a file, but for what is not."""
    found = action(context, *upload(name, query, **fields))
    assert isinstance(found, Deploy)
    names = ("force", "force_invalid", "paused", "bundle", "folder", "wait")
    asked = {name: getattr(found, name) for name in names}
    given = {
        name: value for name, value in asked.items() if value or (name == "paused" and value is not None)
    }
    return {"file": found.file, **given}


def test_a_dag_file_is_stored_under_its_own_name(context: Context) -> None:
    assert deployed(context, "my dag.py") == {"file": "my dag.py"}
    assert deployed(context, "a.py", "&force=on", pause="on") == {
        "file": "a.py",
        "force": True,
        "paused": True,
    }
    assert deployed(context, "a.py", unpause="on") == {"file": "a.py", "paused": False}
    assert deployed(context, "a.py", force_invalid="on") == {"file": "a.py", "force_invalid": True}


@pytest.mark.parametrize("sign", "',&#[]~=! %;\u00e9\u65e5")
def test_a_dag_file_may_have_any_sign_in_its_name_that_1_x_took(context: Context, sign: str) -> None:
    for name in (f"{sign}a.py", f"a{sign}b.py", f"a{sign}.py"):
        assert deployed(context, name) == {"file": name}


def test_a_dag_file_goes_where_it_is_told_to_and_an_archive_is_one_too(context: Context) -> None:
    query = "&bundle=other&path=team/a&wait=on"
    for name in ("a.py", "project.zip", "my project.tar.gz", "p.tgz"):
        asked = {"file": name, "bundle": "other", "folder": "team/a", "wait": True}
        assert deployed(context, name, query) == asked


def test_pause_and_unpause_together_change_nothing(context: Context) -> None:
    assert deployed(context, "a.py", pause="on", unpause="on") == {"file": "a.py"}
    found = work(context, *upload("a.py", pause="on", unpause="on"))
    assert found.warnings == [
        "Both options pause and unpause were given. Skipping setting the state (pause, unpause) of the DAG."
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../a.py",
        "a/b.py",
        "/a.py",
        "a\\b.py",
        ".a.py",
        "a\n.py",
        "a\0.py",
        "a\x85.py",
        "a\u2028.py",
        "a\ud800.py",
        "x" * 250 + ".py",
        ".py",
    ],
)
def test_a_dag_file_with_an_unsafe_name_is_refused(context: Context, name: str) -> None:
    assert "name of dag_file" in refusal(context, *upload(name))


def test_a_dag_file_must_be_python_and_there(context: Context) -> None:
    assert refusal(context, *upload("a.txt")) == "dag_file is not a *.py file"
    assert refusal(context, "api=deploy_dag") == "dag_file should be provided"


def test_the_versions_are_known_without_a_command() -> None:
    from airflow import __version__

    answer = action(Context(None), "api=version")
    assert isinstance(answer, Answer)
    assert answer.output == __version__


def test_no_request_reads_more_than_it_may(context: Context) -> None:
    assert work(context, "api=list_tasks&dag_id=d&tree").recorded.effect is Effect.READ
    assert work(context, "api=list_tasks&dag_id=d&tree&subdir=x").recorded.effect is Effect.EXECUTE
    assert work(context, f"api=run&{TASK}").recorded.effect is Effect.EXECUTE
    assert work(context, "api=variables&get=k&delete=k").recorded.effect is Effect.WRITE


class NothingInstalled:
    """An Airflow without a single command."""

    def get(self, path: str) -> Command:
        raise UnknownCommand(path)

    def bind(self, *_: object, **__: object) -> None:
        raise AssertionError


def test_a_command_that_is_not_installed_is_named_with_what_brings_it() -> None:
    with pytest.raises(Refusal, match="no command 'airflow celery worker': the Celery provider"):
        action(Context(NothingInstalled()), "api=worker")  # type: ignore[arg-type]


def test_an_argument_is_looked_up_under_the_names_it_had() -> None:
    def command(name: str) -> Command:
        return Command(("x",), "", None, (Argument(name, (), "string"),), Effect.READ)

    for name in ("logical_date_or_run_id", "execution_date_or_run_id", "execution_date"):
        assert counterpart(command(name), "execution_date") == name
    assert counterpart(command("other"), "execution_date") is None
    assert counterpart(command("run_duration"), "run-duration") == "run_duration"


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("api=list_dags", "airflow dags list --output=json"),
        ("api=list_dags&report", "airflow dags list --output=json && airflow dags report --output=json"),
        ("api=trigger_dag&dag_id=d", "airflow dags trigger --output=json -- d"),
        ("api=pool", "airflow pools list --output=json"),
        ("api=pool&get=p", "airflow pools get --output=json -- p"),
        ("api=pool&cmd=set&pool_name=p&slot_count=5", "airflow pools set --output=json -- p 5 ''"),
        ("api=pool&delete=p", "airflow pools delete --output=json -- p"),
        ("api=dag_state&dag_id=d&execution_date=r", "airflow dags state -- d r"),
    ],
)
def test_a_command_that_can_print_json_is_asked_to(as_json: Context, query: str, line: str) -> None:
    assert work(as_json, query).airflow_cmd == line


def test_dags_of_one_path_are_listed_as_json(as_json: Context) -> None:
    found = child(as_json, "api=list_dags&subdir=team")
    assert (found.entry, found.recorded.effect) == ("own_work:list_dags", Effect.READ)
    assert found.order == {"subdir": "team", "report": False, "output": "json"}
    assert child(as_json, "api=list_dags&subdir=team&report").recorded.effect is Effect.EXECUTE


@pytest.mark.parametrize("kind", ["connections", "variables"])
def test_what_1_x_listed_is_read_by_us_with_the_permissions_of_the_command(
    as_json: Context, kind: str
) -> None:
    found = child(as_json, f"api={kind}")
    assert (found.entry, found.order) == ("own_work:list_rows", {"kind": kind})
    assert found.commands == [f"{kind} list"]
    assert found.airflow_cmd.startswith(f"airflow {kind} list")
    assert found.recorded.effect is Effect.READ


@pytest.mark.parametrize("query", ["connections&add=on&conn_id=c&conn_uri=x://h", "variables&delete=k"])
def test_other_verbs_stay_child(as_json: Context, query: str) -> None:
    assert child(as_json, f"api={query}").entry == "commands:run_commands"


def test_a_pool_that_is_deleted_is_shown_to_those_who_may_see_it(as_json: Context) -> None:
    found = child(as_json, "api=pool&delete=p")
    assert found.commands == ["pools delete", "pools get"]
    assert found.order["pool"] == "p"
    # It is read by us: one command runs.
    assert [argv[:2] for argv in found.order["argvs"]] == [["pools", "delete"]]
    assert found.recorded.effect is Effect.WRITE


def test_to_others_it_is_not_shown(as_json: Context) -> None:
    instead = child(as_json, "api=pool&delete=p").instead
    assert instead is not None
    assert instead.commands == ["pools delete"]
    assert "pool" not in instead.order
    assert instead.instead is None


def test_a_variable_that_does_not_exist_is_none_unless_the_client_says_otherwise(
    as_json: Context, context: Context
) -> None:
    assert child(as_json, "api=variables&get=k").invocations[0].values["default"] == "None"
    assert child(as_json, "api=variables&get=k&default=5").invocations[0].values["default"] == "5"
    today = child(context, "api=variables&get=k")
    assert today.invocations[0].values["default"] is None


def test_an_export_to_the_answer_needs_no_folder(as_json: Context, context: Context) -> None:
    assert child(as_json, "api=variables&export=-").invocations[0].values["file"] == "-"
    today = child(context, "api=variables&export=-")
    assert today.invocations[0].values["file"] == "-"
    with pytest.raises(Refusal):
        child(as_json, "api=variables&export=-x")
    # What is read is a file of that name: an answer has no standard input.
    assert child(as_json, "api=variables&import=-").invocations[0].values["file"] == "/exchange/-"


def test_a_state_of_no_run_is_asked_for_as_none(as_json: Context) -> None:
    for query in (
        "dag_state&dag_id=d&execution_date=2026",
        "task_state&dag_id=d&task_id=t&execution_date=2026",
    ):
        assert child(as_json, f"api={query}").order["without_run"] is True
    assert (
        "without_run"
        not in child(as_json, "api=task_failed_deps&dag_id=d&task_id=t&execution_date=2026").order
    )


def test_the_date_of_a_run_goes_with_the_order(as_json: Context) -> None:
    task = "dag_id=d&task_id=t&execution_date=2026-11-10"
    for api in ("render", "test", "task_state", "task_failed_deps"):
        assert child(as_json, f"api={api}&{task}").order["date"] == "2026-11-10"
    assert "date" not in child(as_json, "api=trigger_dag&dag_id=d&execution_date=2026-11-10").order
    assert "date" not in child(as_json, "api=pause&dag_id=d").order


def test_a_backfill_that_is_shown_keeps_what_chooses_its_tasks(as_json: Context) -> None:
    query = "api=backfill&dag_id=d&start_date=2026-11-10&dry_run"
    assert child(as_json, query).order["json"] is True
    more = child(as_json, f"{query}&task_regex=^a&ignore_dependencies").order
    assert (more["task_regex"], more["ignore_dependencies"]) == ("^a", True)


def test_what_1_x_is_told_in_its_own_words_is_printed_as_json(as_json: Context) -> None:
    assert child(as_json, "api=clear&dag_id=d").order["json"] is True
    assert child(as_json, "api=run&dag_id=d&task_id=t&execution_date=r").order["json"] is True
