from __future__ import annotations

import json
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_rest_client.instances import KEYRING, Instance, Instances, UnknownInstance

from .conftest import Keyring


def test_an_instance_is_kept_in_a_file_that_only_its_user_reads(home: Path):
    Instances().save(Instance("prod", "https://a.example", username="ada", token="t", refresh_token="r"))
    path = home / "instances.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    found = Instances().get()
    assert (found.name, found.url, found.token, found.refresh_token) == (
        "prod",
        "https://a.example",
        "t",
        "r",
    )


def test_a_password_is_never_kept(home: Path):
    Instances().save(Instance("prod", "https://a.example", password="hunter2"))
    assert "hunter2" not in (home / "instances.json").read_text()
    assert "hunter2" not in repr(Instance("prod", "https://a.example", password="hunter2", token="hunter2"))


def test_a_new_token_is_kept(home: Path):
    store = Instances()
    store.save(Instance("prod", "https://a.example", token="old"))
    credentials = store.get().credentials(store)
    credentials._take("new")

    assert store.get().token == "new"


def test_one_of_several_is_chosen_by_name_by_variable_or_by_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Instances()
    store.save(Instance("one", "https://one.example"))
    store.save(Instance("two", "https://two.example"))
    assert store.get().name == "one"
    assert store.get("two").name == "two"
    monkeypatch.setenv("AIRFLOW_REST_INSTANCE", "two")
    assert store.get().name == "two"
    monkeypatch.delenv("AIRFLOW_REST_INSTANCE")
    store.set_default("two")
    assert store.get().name == "two"
    store.remove("two")
    assert store.get().name == "one"
    with pytest.raises(UnknownInstance, match="no instance 'two'"):
        store.get("two")


def test_the_environment_goes_before_the_file(home: Path, monkeypatch: pytest.MonkeyPatch):
    Instances().save(Instance("one", "https://one.example"))
    monkeypatch.setenv("AIRFLOW_REST_URL", "https://ci.example/airflow/admin/rest_api/")
    monkeypatch.setenv("AIRFLOW_REST_TOKEN", "t")

    found = Instances().get()
    assert (found.name, found.url, found.token) == (None, "https://ci.example/airflow", "t")
    assert Instances().get("one").url == "https://one.example"
    monkeypatch.setenv("AIRFLOW_REST_URL", "nowhere")
    with pytest.raises(UnknownInstance, match="AIRFLOW_REST_URL"):
        Instances().get()


def test_signing_out_forgets_what_lets_in(home: Path):
    Instances().save(Instance("one", "https://one.example", token="t", refresh_token="r", header_token="h"))
    Instances().sign_out(None)

    kept = json.loads((home / "instances.json").read_text())["instances"]["one"]
    assert set(kept) & {"token", "refresh_token", "header_token"} == set()


def test_a_damaged_file_is_said_and_left_alone(home: Path):
    home.mkdir()
    for text in (
        "{",
        "null",
        '{"instances": []}',
        '{"instances": {"a": {}}}',
        '{"default": []}',
        '{"instances": {"a": {"url": "https://a.example", "token": 5}}}',
    ):
        (home / "instances.json").write_text(text)
        with pytest.raises(UnknownInstance, match="damaged"):
            Instances().get()
        assert (home / "instances.json").read_text() == text


def test_an_address_that_somebody_has_damaged_is_said_and_can_be_mended(home: Path):
    Instances().save(Instance("one", "a.example"))
    with pytest.raises(UnknownInstance, match=r"one: 'a\.example' is no address"):
        Instances().get()
    Instances().save(Instance("one", "https://a.example"))
    assert Instances().get().url == "https://a.example"


@pytest.fixture
def keyring(keyring: Keyring) -> Keyring:
    """A keyring with the secrets of the instance `one`, which is the default one; there is `two` as well."""
    Instances().save(Instance("one", "https://one.example", token="secret-t", keyring=True))
    Instances().save(Instance("two", "https://two.example", token="t"))
    return keyring


def test_tokens_can_lie_in_the_keyring(home: Path, keyring: Keyring):
    assert "secret-t" not in (home / "instances.json").read_text()
    assert Instances().get().token == "secret-t"
    assert Instances().sign_out("one")[1]
    assert keyring.kept == {}


def test_where_tokens_lie_outlives_the_signing_out(home: Path, keyring: Keyring):
    Instances().sign_out("one")
    known = Instances().all()[0]
    assert (known["one"].keyring, known["one"].signed_in, known["two"].signed_in) == (True, False, True)

    Instances().save(replace(known["one"], token="secret-u", signed_out=False))
    assert "secret-u" not in (home / "instances.json").read_text()
    assert (Instances().get("one").token, Instances().get("one").signed_in) == ("secret-u", True)


def test_who_has_signed_out_stays_so_when_the_keyring_answers_again(keyring: Keyring):
    keyring.fault = RuntimeError("it is locked")
    assert not Instances().sign_out("one")[1]
    keyring.fault = None
    assert (Instances().get("one").token, Instances().all()[0]["one"].signed_in) == (None, False)
    assert Instances().sign_out("one")[1]
    assert keyring.kept == {}


def test_what_is_kept_in_the_file_from_now_on_leaves_the_keyring(keyring: Keyring):
    assert Instances().save(Instance("one", "https://one.example", token="new"))
    assert keyring.kept == {}
    assert Instances().get().token == "new"


def test_an_instance_that_is_removed_leaves_the_keyring(keyring: Keyring):
    assert Instances().remove("one")
    assert keyring.kept == {}


@pytest.fixture(params=["locked", "damaged", "uninstalled"])
def bad_keyring(request: pytest.FixtureRequest, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    if request.param == "locked":
        keyring.fault = RuntimeError("it is locked")
    elif request.param == "damaged":
        keyring.kept[KEYRING, "one"] = "[]"
    else:
        monkeypatch.setitem(sys.modules, "keyring", None)
    return keyring


def test_a_keyring_that_gives_nothing_is_said(bad_keyring: Keyring):
    with pytest.raises(UnknownInstance, match="The keyring "):
        Instances().get("one")


def test_without_its_keyring_an_instance_can_be_the_default_be_signed_out_and_removed(bad_keyring: Keyring):
    Instances().set_default("two")
    Instances().set_default("one")
    instance, gone = Instances().sign_out("one")
    assert (instance.keyring, gone) == (True, bad_keyring.kept == {})
    assert Instances().get("one").token is None
    Instances().remove("one")
    assert set(Instances().all()[0]) == {"two"}


def test_an_instance_is_removed_and_the_keyring_that_keeps_its_secrets_is_said(keyring: Keyring):
    keyring.fault = RuntimeError("it is locked")
    assert not Instances().remove("one")
    assert set(Instances().all()[0]) == {"two"}


def test_a_new_token_that_the_keyring_does_not_take_is_used_all_the_same(keyring: Keyring):
    store = Instances()
    credentials = store.get("one").credentials(store)
    keyring.fault = RuntimeError("it is locked")
    credentials._take("new")
    assert credentials.token == "new"


def test_an_empty_name_is_no_name(home: Path):
    store = Instances()
    store.save(Instance("one", "https://one.example"))
    for act in (store.get, store.set_default, store.remove, store.sign_out):
        with pytest.raises(UnknownInstance, match="no instance ''"):
            act("")
    assert store.get().name == "one"


def test_who_has_signed_out_stays_so_when_a_token_is_renewed(home: Path):
    store = Instances()
    store.save(Instance("one", "https://one.example", token="old", refresh_token="r"))
    credentials = store.get().credentials(store)
    store.sign_out("one")
    credentials._take("new")

    assert store.get().token is None


@pytest.mark.parametrize("kept_in", ["the file", "the keyring"])
def test_who_has_signed_in_anew_stays_so_when_a_token_of_before_is_renewed(
    home: Path, keyring: Keyring, kept_in: str
):
    store = Instances()
    before = Instance("three", "https://three.example", username="ada", token="old", refresh_token="r")
    store.save(before)
    credentials = store.get("three").credentials(store)
    now = replace(before, header_token="h", keyring=kept_in == "the keyring")
    store.save(now)
    credentials._take("new")
    assert store.get("three") == replace(now, token="new")

    for other in (replace(now, username="bob", token="bob's"), replace(now, url="https://other.example")):
        store.save(other)
        credentials._take("newer")
        assert store.get("three") == other


def test_a_variable_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_REST_URL", "https://ci.example")
    monkeypatch.setenv("AIRFLOW_REST_USER", "ada")
    monkeypatch.setenv("AIRFLOW_REST_PASSWORD", "p")
    monkeypatch.setenv("AIRFLOW_REST_PROVIDER", "")
    assert Instances().get().credentials(Instances()).provider == "db"


def test_many_sign_in_at_once_and_none_is_lost(home: Path):
    names = [f"number-{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Instances().save(Instance(name, "https://a.example")), names))

    assert set(Instances().all()[0]) == set(names)
    assert [path.name for path in home.iterdir()] == ["instances.json"]


def test_a_lock_that_was_left_behind_holds_nobody_up_for_long(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airflow_rest_client.instances.LOCKED_FOR", 0.1)
    home.mkdir()
    (home / "instances.lock").touch()
    Instances().save(Instance("one", "https://one.example"))
    assert Instances().get().name == "one"


def test_a_user_without_a_home_knows_no_airflow_and_may_have_one_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("AIRFLOW_REST_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UnknownInstance, match="No Airflow is known"):
        Instances().get()
    monkeypatch.setenv("AIRFLOW_REST_URL", "https://ci.example")
    assert Instances().get().url == "https://ci.example"
