from __future__ import annotations

import pytest

from airflow_rest_api.operations.log_lines import without_log_lines

CLASSIC = "[2026-11-22 08:17:02,123] {__init__.py:51} INFO - Using executor LocalExecutor\n"
WITH_ZONE = "[2026-11-22T08:17:02.123+0000] {dagbag.py:588} INFO - Filling up the DagBag from /dags\n"
MODERN = (
    "2026-11-22T14:26:20.156096Z [info     ] Pushing xcom                   [task] loc=task_runner.py:2280\n"
)
WITH_OFFSET = "2026-11-22 14:27:50.039868+00:00 [warning  ] careful [task] dag_id=golden_basic\n"
COLOURED = "\x1b[2m2026-11-22T14:26:20.156096Z\x1b[0m [\x1b[32m\x1b[1minfo     \x1b[0m] Pushing\n"


@pytest.mark.parametrize("line", [CLASSIC, WITH_ZONE, MODERN, WITH_OFFSET, COLOURED])
def test_log_lines_are_taken_out_wherever_they_are(line: str) -> None:
    assert without_log_lines(f"{line}a\n{line}{line}b{line}") == f"a\nb{line}"


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]\n",
        '[\n  "a",\n  {"b": null}\n]\n',
        "[2026-11-22] is a date\n",
        "2026-11-22T14:26:20Z\n",
        "2026-11-22 [info] by a person\n",
        "line1\n[not a log\nline3\n",
        "dag_id | state\n=======+======\nx      | [a]\n",
        "no newline at the end",
        "",
    ],
)
def test_everything_else_survives(text: str) -> None:
    assert without_log_lines(text) == text
