from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest

from airflow_rest_api.commands.model import Argument, Command, Effect
from airflow_rest_api.errors import Refusal, UnknownCommand
from airflow_rest_api.legacy.body import Body, File
from airflow_rest_api.legacy.deploy import Deployment
from airflow_rest_api.legacy.request import Sent, understand
from airflow_rest_api.legacy.translate import translate
from airflow_rest_api.legacy.translate.backfill import dates
from airflow_rest_api.legacy.translate.plan import Answer, Context, Work, counterpart

Ask = Callable[..., Work]

TASK = "dag_id=d&task_id=t&execution_date=2026-11-10"


def refusal(ask: Ask, query: str, body: Body | None = None) -> str:
    with pytest.raises(Refusal) as refused:
        ask(query, body)
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
def test_a_request_becomes_todays_command(ask: Ask, query: str, line: str) -> None:
    assert ask(query).airflow_cmd == line


def test_a_date_to_trigger_for_has_two_names(ask: Ask) -> None:
    line = "airflow dags trigger --logical-date=2026-11-10 --run-id=r -- d"
    assert ask("api=trigger_dag&dag_id=d&run_id=r&exec_date=2026-11-10&execution_date=x").airflow_cmd == line
    assert ask("api=trigger_dag&dag_id=d&run_id=r&execution_date=2026-11-10").airflow_cmd == line


@pytest.mark.parametrize(
    ("conf", "word"), [("{no", "valid JSON"), ("[1]", "JSON object"), ("5", "JSON object")]
)
def test_a_configuration_that_is_no_json_object_is_refused(ask: Ask, conf: str, word: str) -> None:
    assert word in refusal(ask, f"api=trigger_dag&dag_id=d&conf={conf}")
    assert word in refusal(ask, f"api=test&{TASK}&task_params={conf}")


def test_wrong_values_are_refused_in_the_parsers_words(ask: Ask) -> None:
    assert "invalid parse value: 'xx'" in refusal(ask, "api=clear&dag_id=d&start_date=xx")
    assert "invalid parse value: 'xx'" in refusal(ask, "api=backfill&dag_id=d&start_date=xx")
    assert "invalid int value: 'many'" in refusal(ask, "api=pool&cmd=set&pool_name=p&slot_count=many")


def test_what_has_no_counterpart_is_named(ask: Ask) -> None:
    work = ask("api=backfill&dag_id=d&start_date=2026-11-03&end_date=2026-11-04&task_regex=x&local&pool=p")
    assert work.warnings == [
        "Argument(s) ['task_regex', 'local', 'pool'] have no effect: "
        "'airflow backfill create' has no such option"
    ]
    assert ask(f"api=run&{TASK}&pickle=9&ship_dag").warnings == [
        "Argument(s) ['ship_dag', 'pickle'] have no effect"
    ]


def test_what_is_always_the_case_is_not_worth_a_warning(ask: Ask) -> None:
    assert ask("api=clear&dag_id=d&no_confirm").warnings == []
    assert ask("api=kerberos&daemon").warnings == []


def test_of_two_dates_both_are_taken_as_they_are() -> None:
    assert dates("2026-11-03T05:00", "2026-11-04") == ("2026-11-03T05:00", "2026-11-04")


@pytest.mark.parametrize("given", [("2026-11-03", None), (None, "2026-11-03"), ("2026-11-03 07:00:00", None)])
def test_one_date_alone_means_that_day(given: tuple[str | None, str | None]) -> None:
    assert dates(*given) == ("2026-11-03T00:00:00", "2026-11-03T23:59:59")


def test_a_day_keeps_its_time_zone() -> None:
    assert dates("2026-11-03T07:00:00+09:00", None) == (
        "2026-11-03T00:00:00+09:00",
        "2026-11-03T23:59:59+09:00",
    )


def test_a_backfill_needs_a_date(ask: Ask) -> None:
    assert refusal(ask, "api=backfill&dag_id=d") == "Provide a start_date and/or end_date"


def test_a_variable_is_set_with_key_and_value(ask: Ask) -> None:
    assert refusal(ask, "api=variables&cmd=set&key=k") == "The argument(s) ['value'] are required"
    assert ask("api=variables&key=k&value=v").warnings == [
        "Argument 'key' has no effect without 'cmd=set'",
        "Argument 'value' has no effect without 'cmd=set'",
    ]


def test_the_three_verbs_of_connections_exclude_each_other(ask: Ask) -> None:
    assert "['list', 'add']" in refusal(ask, "api=connections&list=on&add=on&conn_id=c")
    assert ask("api=connections&list=false").airflow_cmd == "airflow connections list"
    assert refusal(ask, "api=connections&delete=on") == "The argument(s) ['conn_id'] are required"


def test_import_and_export_need_a_folder(ask: Ask) -> None:
    assert "exchange_folder" in refusal(ask, "api=variables&import=x.json")


def test_a_dag_id_with_a_nul_character_does_not_exist(ask: Ask) -> None:
    assert refusal(ask, "api=list_tasks&dag_id=d%00") == "The DAG ID 'd\0' does not exist"


def test_the_log_of_a_component_is_a_name_in_the_log_folder(ask: Ask) -> None:
    work = ask("api=scheduler&stdout=/var/log/x.out&stderr=x.err")
    assert work.component is not None
    assert (work.component.stdout, work.component.stderr) == ("x.out", "x.err")
    assert "'x.out' is used" in work.warnings[0]
    worker = ask("api=worker&log-file=x.log").component
    assert worker is not None
    assert (worker.stdout, worker.stderr) == ("x.log", "x.log")
    server = ask("api=serve_logs").component
    assert server is not None
    assert (server.stdout, server.stderr) == ("airflow-serve_logs.log", "airflow-serve_logs.log")
    for name in ("..", "/", ".hidden", "a%0Ab", "x" * 201):
        assert "must be the name of a file" in refusal(ask, f"api=scheduler&log-file={name}")


def test_components_are_argument_lists(ask: Ask) -> None:
    work = ask("api=worker&queues=a;b%20$(c)")
    assert work.component is not None
    assert work.component.argv == ("celery", "worker", "--queues=a;b $(c)")
    assert work.effect is Effect.SERVICE


def test_the_pid_file_of_a_component_is_a_name_in_the_run_folder(ask: Ask) -> None:
    def pid_file(query: str) -> str | None:
        component = ask(query).component
        assert component is not None
        return component.pid_file

    assert pid_file("api=scheduler") is None
    assert pid_file("api=worker&daemon") == "airflow-worker.pid"
    assert pid_file("api=worker&daemon&pid=mine.pid") == "mine.pid"
    work = ask("api=worker&pid=/run/airflow/x.pid")
    assert work.component is not None
    assert work.component.pid_file == "x.pid"
    assert work.warnings == ["Argument 'pid' names a file in Airflow's home folder: 'x.pid' is used"]
    for name in ("airflow.cfg", "..", ".hidden.pid", "a%0A.pid"):
        assert "'pid' must be the name of a file" in refusal(ask, f"api=worker&pid={name}")


def test_the_dag_and_the_path_that_a_scheduler_is_given_are_looked_at(ask: Ask) -> None:
    component = ask("api=scheduler&dag_id=d&subdir=/x").component
    assert component is not None
    assert component.extra == {"dag_id": "d", "subdir": "/x"}


def upload(name: str, query: str = "", **fields: str) -> tuple[str, Body]:
    body = Body(list(fields.items()), dict(fields), {"dag_file": File(name, BytesIO(b"x"))})
    return f"api=deploy_dag{query}", body


def test_a_dag_file_is_stored_under_its_own_name(ask: Ask) -> None:
    assert ask(*upload("my dag.py")).deployment == Deployment("my dag.py")
    assert ask(*upload("a.py", "&force=on", pause="on")).deployment == Deployment(
        "a.py", force=True, paused=True
    )
    assert ask(*upload("a.py", unpause="on")).deployment == Deployment("a.py", paused=False)
    assert ask(*upload("a.py", force_invalid="on")).deployment == Deployment("a.py", force_invalid=True)


def test_a_dag_file_goes_where_it_is_told_to_and_an_archive_is_one_too(ask: Ask) -> None:
    query = "&bundle=other&path=team/a&wait=on"
    for name in ("a.py", "project.zip", "my project.tar.gz", "p.tgz"):
        assert ask(*upload(name, query)).deployment == Deployment(
            name, bundle="other", folder="team/a", wait=True
        )


def test_pause_and_unpause_together_change_nothing(ask: Ask) -> None:
    work = ask(*upload("a.py", pause="on", unpause="on"))
    assert work.deployment == Deployment("a.py")
    assert work.warnings[0].startswith("Both options pause and unpause were given.")


@pytest.mark.parametrize(
    "name", ["../a.py", "a/b.py", "/a.py", ".a.py", "a\n.py", "a\0.py", "x" * 250 + ".py", ".py"]
)
def test_a_dag_file_with_an_unsafe_name_is_refused(ask: Ask, name: str) -> None:
    assert "name of dag_file" in refusal(ask, *upload(name))


def test_a_dag_file_must_be_python_and_there(ask: Ask) -> None:
    assert refusal(ask, *upload("a.txt")) == "dag_file is not a *.py file"
    assert refusal(ask, "api=deploy_dag") == "dag_file should be provided"


def test_the_versions_are_known_without_a_command(context: Context) -> None:
    from airflow import __version__

    answer = translate(understand(Sent.of("api=version")), context)
    assert isinstance(answer, Answer)
    assert answer.output == __version__


def test_no_request_reads_more_than_it_may(ask: Ask) -> None:
    assert ask("api=list_tasks&dag_id=d&tree").effect is Effect.READ
    assert ask("api=list_tasks&dag_id=d&tree&subdir=x").effect is Effect.EXECUTE
    assert ask(f"api=run&{TASK}").effect is Effect.EXECUTE
    assert ask("api=variables&get=k&delete=k").effect is Effect.WRITE


class NothingInstalled:
    """An Airflow without a single command."""

    def get(self, path: str) -> Command:
        raise UnknownCommand(path)

    def bind(self, *_: object, **__: object) -> None:
        raise AssertionError


def test_a_command_that_is_not_installed_is_named_with_what_brings_it() -> None:
    with pytest.raises(Refusal, match="no command 'airflow celery worker': the Celery provider"):
        translate(understand(Sent.of("api=worker")), Context(NothingInstalled()))  # type: ignore[arg-type]


def test_an_argument_is_looked_up_under_the_names_it_had() -> None:
    def command(name: str) -> Command:
        return Command(("x",), "", None, (Argument(name, (), "string"),), Effect.READ)

    for name in ("logical_date_or_run_id", "execution_date_or_run_id", "execution_date"):
        assert counterpart(command(name), "execution_date") == name
    assert counterpart(command("other"), "execution_date") is None
    assert counterpart(command("run_duration"), "run-duration") == "run_duration"
