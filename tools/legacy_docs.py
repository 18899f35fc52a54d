"""Make the generated parts of the 1.x pages: `docs/legacy.md`, and the tables of `docs/migration.md`."""

from __future__ import annotations

from pathlib import Path

from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.legacy.model import Endpoint, EndpointArgument
from tools.generated import with_part
from tools.legacy_differences import DIFFERENCES
from tools.legacy_printed import PRINTED_OTHERWISE

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- {0}: made by `python -m tools.legacy_docs`; do not edit. -->"
END = "<!-- end of {0} -->"

EXAMPLES: dict[str, dict[str, str]] = {
    "render": {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10"},
    "variables": {"cmd": "set", "key": "k", "value": "v"},
    "connections": {"add": "on", "conn_id": "c", "conn_uri": "http://example.com"},
    "pause": {"dag_id": "d"},
    "unpause": {"dag_id": "d"},
    "task_failed_deps": {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10"},
    "trigger_dag": {"dag_id": "d", "run_id": "r", "conf": '{"a": 1}'},
    "test": {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10"},
    "dag_state": {"dag_id": "d", "execution_date": "2026-11-10"},
    "run": {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10"},
    "list_tasks": {"dag_id": "d", "tree": "on"},
    "backfill": {"dag_id": "d", "start_date": "2026-11-10"},
    "kerberos": {"principal": "airflow"},
    "worker": {"queues": "default", "log-file": "worker.log"},
    "flower": {"port": "5555"},
    "scheduler": {"num_runs": "1", "log-file": "scheduler.log"},
    "task_state": {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10"},
    "pool": {"cmd": "set", "pool_name": "p", "slot_count": "10", "description": "ten"},
    "clear": {"dag_id": "d", "start_date": "2026-11-10", "end_date": "2026-11-10"},
    "deploy_dag": {"dag_file": "@my_dag.py", "force": "on", "unpause": "on"},
    "refresh_dag": {"dag_id": "d"},
}
"""Arguments of the request that the migration page shows for an endpoint; some need none."""


def reference() -> str:
    """Return the page of the 26 endpoints."""
    lines = [
        "# The endpoints of the Airflow 1.x plugin",
        "",
        BEGIN.format("reference"),
        "",
        "`GET` or `POST` `/admin/rest_api/api?api=<name>`, with `Authorization: Bearer <token>`.",
        "Arguments come from the query string, a form, multipart/form-data or a JSON object; the query",
        "string wins. A check box is true when present, but for the values `false`, `off`, `0` and `no`.",
        "Every endpoint but `version` and `rest_api_plugin_version` takes `queue` too: where it",
        "[runs](deployment.md#what-runs-where).",
    ]
    for endpoint in ENDPOINTS:
        lines += ["", *_section(endpoint)]
    return "\n".join(lines) + "\n"


def requests() -> str:
    """Return one curl line for each endpoint."""
    return "\n".join(["```sh", *(_curl(endpoint) for endpoint in ENDPOINTS), "```"])


def differences() -> str:
    """Return the table of the known differences."""
    lines = ["| request | 1.x plugin | now | why |", "|---|---|---|---|"]
    lines += [f"| {known.what} | {known.then} | {known.now} | {known.why} |" for known in DIFFERENCES]
    return "\n".join(lines)


def printed() -> str:
    """Return the table of the texts that differ."""
    lines = ["| request | printed then | printed now | why | option |", "|---|---|---|---|---|"]
    lines += [
        f"| {known.what} | {known.then} | {known.today} | {known.why} | {known.option or '–'} |"
        for known in PRINTED_OTHERWISE
    ]
    return "\n".join(lines)


def with_parts(page: str) -> str:
    """Return the migration page with its generated parts as they must be."""
    for name, part in (("requests", requests()), ("differences", differences()), ("printed", printed())):
        page = with_part(page, BEGIN.format(name), END.format(name), part)
    return page


def _section(endpoint: Endpoint) -> list[str]:
    methods = " or ".join(endpoint.methods)
    lines = [f"## {endpoint.name}", "", f"{endpoint.description} Runs {endpoint.runs}; {methods}."]
    if endpoint.background:
        lines.append("It keeps running in the background; the answer names its process.")
    if endpoint.text_output:
        lines.append("`output` is a string.")
    if endpoint.arguments:
        lines += ["", "| argument | kind | meaning |", "|---|---|---|"]
        lines += [f"| `{a.name}` | {_kind(a)} | {a.description} |" for a in endpoint.arguments]
    return lines


def _kind(argument: EndpointArgument) -> str:
    kind = "check box" if argument.check_box else "file" if argument.file else "text"
    return f"{kind}, required" if argument.required else kind


def _curl(endpoint: Endpoint) -> str:
    start = 'curl -H "Authorization: Bearer $TOKEN"'
    given = EXAMPLES.get(endpoint.name, {})
    url = f'"$URL/admin/rest_api/api?api={endpoint.name}"'
    if endpoint.name == "deploy_dag":
        return " ".join([start, *(f"-F '{name}={value}'" for name, value in given.items()), url])
    data = [f"--data-urlencode '{name}={value}'" for name, value in given.items()]
    return " ".join([start, *(["-G"] if data else []), *data, url])


def main() -> None:
    """Write the pages."""
    (DOCS / "legacy.md").write_text(reference())
    migration = DOCS / "migration.md"
    migration.write_text(with_parts(migration.read_text()))


if __name__ == "__main__":
    main()
