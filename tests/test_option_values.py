from __future__ import annotations

from ipaddress import ip_network

import pytest

from airflow_rest_api.option_values import BadDatabase, database, folders, networks
from airflow_rest_api.settings import BadSetting, Settings


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
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(address: str, said: str):
    with pytest.raises(BadDatabase, match=said) as error:
        database(address)
    assert "secret" not in str(error.value)

    with pytest.raises(BadSetting, match=r"^\[rest_api_plugin\] operations_database .*") as refused:
        Settings.load(lambda section, name: address if name == "operations_database" else None)
    assert "secret" not in str(refused.value)


def test_folders_are_those_of_bundles() -> None:
    assert folders(" a , b/c/d,") == (("a", ""), ("b", "c/d"))
    assert folders("") == ()


@pytest.mark.parametrize("text", ["/a", "a/../b", "a//b", "a/./b", "a/", "x" * 201])
def test_a_folder_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be bundle/folder"):
        folders(text)
    with pytest.raises(BadSetting, match=r"^\[rest_api_plugin\] deploy_folders must be bundle/folder"):
        load(deploy_folders=text)


def test_networks_are_addresses_too() -> None:
    assert networks(" 10.0.0.1, fd00::/8,") == (ip_network("10.0.0.1/32"), ip_network("fd00::/8"))


@pytest.mark.parametrize("proxies", ["proxy.example", "10.0.0.0/99", "*"])
def test_a_proxy_that_is_no_address_is_refused_at_the_start(proxies: str) -> None:
    with pytest.raises(BadSetting, match="trusted_proxies must be addresses and networks: "):
        load(trusted_proxies=proxies)
