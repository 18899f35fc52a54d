from __future__ import annotations

import pytest

from airflow_rest_client.model import OperationData

from .conftest import operation

CUT = "a\n… 12 bytes left out …\nb"


@pytest.mark.parametrize(
    ("stdout", "stderr", "truncated", "lacks"),
    [
        (CUT, "c", True, (True, False)),
        ("c", CUT, True, (False, True)),
        (CUT, CUT, True, (True, True)),
        ("c", "c", True, (True, True)),
        (CUT, "c", False, (False, False)),
    ],
)
def test_output_is_missing_where_the_server_says_so(
    stdout: str, stderr: str, truncated: bool, lacks: tuple[bool, bool]
):
    found = OperationData(operation(stdout=stdout, stderr=stderr, truncated=truncated))
    assert (found.lacks("stdout"), found.lacks("stderr")) == lacks
