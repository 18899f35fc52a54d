from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from airflow_rest_api.security.sites import Use, cookie, cookie_counts

HOST = {"host": "airflow.example:8080"}
OWN = "http://airflow.example:8080"


def counts(use: Use, method: str = "GET", **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cookie_counts(Headers({**HOST, **named}), method, use)


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new", ""])
def test_the_cookie_of_a_request_from_elsewhere_counts_for_nothing(use: Use, site: str):
    for mode in ("navigate", "cors", "no-cors", "same-origin"):
        assert not counts(use, sec_fetch_site=site, sec_fetch_mode=mode, origin=OWN, referer=OWN + "/")


@pytest.mark.parametrize(("use", "expected"), [(Use.PAGE, True), (Use.READ, False), (Use.RUN, False)])
def test_an_address_that_was_typed_opens_pages_alone(use: Use, expected: bool):
    assert counts(use, sec_fetch_site="none", sec_fetch_mode="navigate") is expected


@pytest.mark.parametrize("mode", ["cors", "same-origin"])
def test_a_script_of_this_site_may_do_everything(mode: str):
    for use in Use:
        assert counts(use, sec_fetch_site="same-origin", sec_fetch_mode=mode)


@pytest.mark.parametrize("mode", ["navigate", "no-cors"])
def test_a_link_or_an_image_on_a_page_of_this_site_runs_nothing(mode: str):
    assert counts(Use.READ, sec_fetch_site="same-origin", sec_fetch_mode=mode)
    assert not counts(Use.RUN, sec_fetch_site="same-origin", sec_fetch_mode=mode)


@pytest.mark.parametrize("use", Use)
def test_without_any_proof_the_cookie_counts_for_nothing(use: Use):
    assert not counts(use)
    assert not counts(use, "POST")


@pytest.mark.parametrize("use", Use)
def test_on_plain_http_an_origin_of_ours_is_a_proof(use: Use):
    assert counts(use, "POST", origin=OWN)
    for other in ("null", "http://evil.example", "http://airflow.example:8081", "http://[", ""):
        assert not counts(use, "POST", origin=other, referer=OWN + "/")


def test_on_plain_http_a_referer_of_ours_is_a_proof_but_not_for_a_get_that_runs_something():
    # A browser sends it with the images of our own pages too.
    assert counts(Use.READ, referer=OWN + "/x")
    assert counts(Use.RUN, "POST", referer=OWN + "/x")
    assert not counts(Use.RUN, "GET", referer=OWN + "/x")
    assert not counts(Use.READ, referer="http://evil.example/" + OWN)


def test_without_a_host_nothing_is_ours():
    assert not cookie_counts(Headers({"origin": "http://"}), "POST", Use.READ)


def test_a_cookie_is_found_among_others():
    assert cookie(Headers({"cookie": "a=b; _token=x.y; c=d"}), "_token") == "x.y"
    for text in ("", "_token=", "x_token=y", "token=y"):
        assert cookie(Headers({"cookie": text}), "_token") is None


def test_cookies_in_several_headers_are_one_list_of_which_the_last_counts():
    def among(*lines: bytes) -> str | None:
        return cookie(Headers(raw=[(b"cookie", line) for line in lines]), "_token")

    assert among(b"a=1", b"_token=x.y") == "x.y"
    assert among(b"_token=x.y", b"a=1") == "x.y"
    assert among(b"_token=old; a=1", b"b=2; _token=new") == "new"
    assert among(b"_token", b"x.y") is None
