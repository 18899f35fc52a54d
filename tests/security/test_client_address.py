from __future__ import annotations

from typing import Any

import pytest

from airflow_rest_api.option_values import networks
from airflow_rest_api.security.client_address import client_address
from tests.standin import serving

PROXIES = "10.0.0.0/8, ::1, 192.0.2.7"


def seen(peer: str | None, *forwarded: str, proxies: str = PROXIES) -> str | None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    scope: Any = {"client": (peer, 1234) if peer else None, "headers": headers}
    return client_address(scope, networks(proxies))


@pytest.mark.parametrize("peer", ["203.0.113.9", "192.0.2.8", "testclient", "11.0.0.1", None])
def test_nobody_but_a_trusted_proxy_says_who_a_request_comes_from(peer: str | None) -> None:
    assert seen(peer, "198.51.100.1") == peer
    assert seen("10.0.0.1", "198.51.100.1", proxies="") == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ((), "10.0.0.1"),
        (("198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1, 10.3.3.3, ::1",), "198.51.100.1"),
        (("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
        (("198.51.100.1:5678",), "198.51.100.1"),
        (("[2001:db8::1]:5678",), "2001:db8::1"),
        (("2001:db8::1",), "2001:db8::1"),
        (("1.1.1.1, unknown",), "10.0.0.1"),
        (("1.1.1.1, unknown, 10.0.0.3",), "10.0.0.3"),
        (("1.1.1.1, ",), "10.0.0.1"),
        (("\xff" * 1000,), "10.0.0.1"),
    ],
)
def test_what_a_trusted_proxy_has_added_counts_and_nothing_before_it(
    forwarded: tuple[str, ...], address: str
) -> None:
    assert seen("10.0.0.1", *forwarded) == address
    assert seen("::ffff:10.0.0.1", *forwarded) in (address, "::ffff:10.0.0.1")


def test_a_chain_that_is_longer_than_any_ends_at_a_proxy() -> None:
    assert seen("10.0.0.1", ", ".join(["1.1.1.1", *["10.0.0.2"] * 10_000])) == "10.0.0.2"


def test_the_callers_address_is_of_the_proxys_word() -> None:
    from airflow_rest_api.security.audit import Audit

    found = []
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(user="viewer", trusted_proxies="127.0.0.0/8") as (client, _),
    ):
        patch.setattr(Audit, "refused", lambda self, caller, *_: found.append(caller.address))
        client._transport.client = ("127.0.0.1", 5000)  # type: ignore[attr-defined]
        client.post("/v2/commands/db/reset", headers={"X-Forwarded-For": "1.1.1.1, 198.51.100.1"})

    assert found == ["198.51.100.1"]
