from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from airflow.configuration import conf
from airflow.secrets import BaseSecretsBackend
from sqlalchemy.engine import make_url

from airflow_rest_api.app import create_app
from airflow_rest_api.security.access import Switches
from airflow_rest_api.services.model import NOTHING
from airflow_rest_api.settings import (
    OPTIONS,
    SECTION,
    BadDatabase,
    BadSetting,
    Option,
    Settings,
    database,
    folders,
    networks,
    reference,
)


def read(**values: str):
    return lambda section, name: values.get(name) if section == SECTION else None


def test_a_missing_section_gives_the_defaults():
    assert Settings.load(read()) == Settings()


def test_values_are_read_as_their_type():
    settings = Settings.load(read(parallelism=" 3 ", fork="no", queue_size="0"))

    assert (settings.parallelism, settings.fork, settings.queue_size) == (3, False, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parallelism", "many"),
        ("parallelism", "0"),
        ("columns", "-1"),
        ("fork", "perhaps"),
        ("max_upload", "1.5"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_option(name: str, value: str):
    with pytest.raises(BadSetting, match=rf"\[rest_api_plugin\] {name} must be .*{value}"):
        Settings.load(read(**{name: value}))


@pytest.mark.parametrize("option", [one for one in OPTIONS if one.type is int], ids=lambda one: one.name)
def test_a_number_that_nothing_can_count_is_refused_and_the_largest_is_taken(option: Option):
    with pytest.raises(BadSetting, match=rf"\[rest_api_plugin\] {option.name} must be at most \d+$"):
        Settings.load(read(**{option.name: "9" * 30}))


def test_the_largest_numbers_can_be_used():
    create_app(Settings.load(read(**{one.name: str(one.maximum) for one in OPTIONS if one.type is int})))


def test_an_empty_list_of_commands_that_are_on_has_none():
    settings = Settings.load(read(enabled_commands=" ", disabled_commands="", columns=" "))

    assert settings == Settings(enabled_commands="")
    assert Switches(enabled=settings.enabled_commands).option(NOTHING.command) == "enabled_commands"


@pytest.mark.parametrize("name", ["enabled_commands", "disabled_commands"])
@pytest.mark.parametrize(
    "value", ['"dags delete"', "'db *'", "dags delete; db clean", "dags list, a|b", "`x`"]
)
def test_a_glob_that_fits_no_command_for_its_signs_is_refused_and_not_passed_over(name: str, value: str):
    # Files for `docker run --env-file` keep quotation marks: what was to be off would stay on.
    with pytest.raises(
        BadSetting, match=rf"^\[rest_api_plugin\] {name} must be globs over names of commands, not "
    ):
        Settings.load(read(**{name: value}))


@pytest.mark.parametrize("name", ["Authorization", "cookie", "a b", "x:y", "ü", "x\ny"])
def test_the_header_of_the_shared_token_is_one_of_its_own(name: str):
    with pytest.raises(BadSetting, match="rest_api_plugin_http_token_header_name"):
        Settings.load(read(rest_api_plugin_http_token_header_name=name))


def test_a_user_for_the_shared_token_is_refused_without_a_shared_token():
    with pytest.raises(BadSetting, match="http_token_username"):
        Settings.load(read(http_token_username="admin", rest_api_plugin_expected_http_token=" "))

    settings = Settings.load(read(http_token_username="admin", rest_api_plugin_expected_http_token="t"))
    assert settings.http_token_username == "admin"


TOKEN = "rest_api_plugin_expected_http_token"


class Backend(BaseSecretsBackend):
    """A secrets backend that knows few names."""

    def get_config(self, key: str) -> str | None:
        return {"token": "from the backend\n", "blank": " \n"}.get(key)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow asks our secrets backend."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Backend")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("how", "value"), [("CMD", "true"), ("CMD", "echo"), ("SECRET", "nothing-there"), ("SECRET", "blank")]
)
def test_a_secret_that_cannot_be_found_is_no_empty_one(monkeypatch: pytest.MonkeyPatch, how: str, value: str):
    # Or everybody would be let in without it.
    monkeypatch.setenv(f"AIRFLOW__REST_API_PLUGIN__{TOKEN}_{how}".upper(), value)
    with pytest.raises(BadSetting, match=f"{TOKEN}_{how.lower()} must lead to a value"):
        Settings.load()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("how", "value"), [("CMD", "echo from the command"), ("SECRET", "token")])
@pytest.mark.parametrize("known", [True, False], ids=["wheel", "zip"])
def test_a_secret_can_come_from_a_command_or_a_backend(
    monkeypatch: pytest.MonkeyPatch, how: str, value: str, known: bool
):
    if not known:
        monkeypatch.setattr(conf, "sensitive_config_values", set())
    monkeypatch.setenv(f"AIRFLOW__REST_API_PLUGIN__{TOKEN}_{how}".upper(), value)
    assert Settings.load().rest_api_plugin_expected_http_token.startswith("from the ")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("known", [True, False], ids=["wheel", "zip"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("operations_database_cmd", "sh -c 'echo hidden; exit 1'"),
        ("operations_database_cmd", "/nothing/hidden"),
        ("operations_database_cmd", "'hidden"),
        ("operations_database", "postgresql://user:p%hidden@host/database"),
        ("enabled_commands", "%(hidden)s"),
    ],
)
def test_what_airflow_cannot_read_is_refused_by_its_name_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, known: bool, name: str, value: str
):
    if not known:
        monkeypatch.setattr(conf, "sensitive_config_values", set())
    try:
        conf.read_string(f"[{SECTION}]\n{name} = {value}")
        with pytest.raises(
            BadSetting, match=rf"\[{SECTION}\] {name.removesuffix('_cmd')} cannot be read"
        ) as error:
            Settings.load()
    finally:
        conf.remove_option(SECTION, name)
    assert "hidden" not in str(error.value)
    assert error.value.__suppress_context__


def test_airflows_environment_variables_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__REST_API_PLUGIN__PARALLELISM", "5")

    assert Settings.load() == Settings(parallelism=5)


def test_the_page_of_the_settings_is_current():
    page = Path(__file__).parents[1] / "docs" / "settings.md"

    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m airflow_rest_api.settings > docs/settings.md"
    )


def load(**values: str) -> Settings:
    return Settings.load(lambda _, name: values.get(name))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("secret", "SQLAlchemy's form"),
        ("oracle://u:secret@h/d", "not 'oracle'"),
        ("nonsense+driver://u:secret@h/d", "not 'nonsense'"),
        ("postgresql+secret://u:p@h/d", "SQLAlchemy"),
        ("postgresql+pg8000://u:secret@h/d", "needs the Python package of its driver"),
        ("postgresql+psycopg2://u:secret@h:port/d", "SQLAlchemy's form"),
        ("sqlite:///secret.db", "absolute path"),
        ("sqlite://", "absolute path"),
        ("postgresql+asyncpg://u:secret@h/d", "driver that waits, not asyncpg"),
        ("sqlite+aiosqlite:////secret.db", "driver that waits, not aiosqlite"),
        ("postgresql+psycopg2://u:secret@h/d?ssl_mode=prefer", "argument.* that psycopg2 lacks"),
        ("postgresql+psycopg2://u@h/d?password=s&secret=1", "argument.* that psycopg2 lacks"),
        ("mysql+pymysql://u:secret@h/d?ssl_mode=PREFERRED", "argument.* that pymysql lacks"),
        ("mysql+pymysql://u:p@h/d?read_timeout=secret", "SQLAlchemy"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(address: str, said: str):
    with pytest.raises(BadDatabase, match=said) as error:
        database(address)
    assert "secret" not in str(error.value)

    with pytest.raises(BadSetting, match=r"^\[rest_api_plugin\] operations_database .*") as refused:
        Settings.load(lambda section, name: address if name == "operations_database" else None)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg2://u:p@h/d?sslmode=verify-full&sslrootcert=/ca.pem&options=-csearch_path%3Dairflow",
        "postgresql+psycopg2:///d?host=a:5432&host=b:5433&target_session_attrs=read-write",
        "postgresql+psycopg2://u@/d?host=/var/run/postgresql&passfile=/pgpass&application_name=a",
        "mysql+pymysql://u:p@h/d?charset=utf8mb4&ssl_ca=/ca.pem&ssl_verify_identity=true&read_timeout=30",
        "mariadb+pymysql://u:p@h/d?unix_socket=/run/mysqld.sock&read_default_file=/my.cnf",
        "sqlite:////a/b.db?timeout=5&cached_statements=10",
    ],
)
def test_an_address_with_arguments_that_its_driver_knows_is_taken(address: str):
    assert database(address) == make_url(address)


def test_folders_are_those_of_bundles() -> None:
    assert folders(" a , b/c/d,") == (("a", ""), ("b", "c/d"))
    assert folders("\na\n  b/c\n") == (("a", ""), ("b", "c"))
    assert folders("") == ()


@pytest.mark.parametrize("text", ["/a", "a/../b", "a//b", "a/./b", "a/", "x" * 201])
def test_a_folder_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be bundle/folder"):
        folders(text)
    with pytest.raises(BadSetting, match=r"^\[rest_api_plugin\] deploy_folders must be bundle/folder"):
        load(deploy_folders=text)


def test_networks_are_addresses_too() -> None:
    assert networks(" 10.0.0.1, fd00::/8,") == (ip_network("10.0.0.1/32"), ip_network("fd00::/8"))
    assert networks("10.0.0.1\nfd00::/8") == networks("10.0.0.1, fd00::/8")


@pytest.mark.parametrize("proxies", ["proxy.example", "10.0.0.0/99", "*"])
def test_a_proxy_that_is_no_address_is_refused_at_the_start(proxies: str) -> None:
    with pytest.raises(BadSetting, match="trusted_proxies must be addresses and networks: "):
        load(trusted_proxies=proxies)
