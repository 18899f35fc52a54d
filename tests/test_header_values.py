from __future__ import annotations

import pytest

from airflow_rest_api.header_values import media_type, named, parameter, parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [""]),
        ("a, b", ["a", " b"]),
        ('a="b,c", d', ['a="b,c"', " d"]),
        (r'a="b\",c", d', [r'a="b\",c"', " d"]),
        ('a="b, c', ['a="b, c']),
        (r"a\,b", ["a\\", "b"]),
    ],
)
def test_a_separator_in_a_quoted_string_separates_nothing(text: str, found: list[str]) -> None:
    assert list(parts(text, ",")) == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("", ("", "")),
        (" Wait = 5\t", ("wait", "5")),
        ('wait="5"', ("wait", "5")),
        (r'a="b\"c\\"', ("a", 'b"c\\')),
        ('a="', ("a", '"')),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_a_value_is_read_with_its_name(part: str, found: tuple[str, str]) -> None:
    assert named(part) == found


def test_a_content_type_has_a_type_and_parameters() -> None:
    text = 'Multipart/Form-Data ; charset=utf-8; Boundary="a;b"; boundary=c'

    assert media_type(text) == "multipart/form-data"
    assert parameter(text, "boundary") == "a;b"
    assert parameter(text, "profile") == ""
    assert parameter("boundary=x", "boundary") == ""
