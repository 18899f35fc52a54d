"""Make the generated tables of `docs/permissions.md`: what each command does and needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_rest_api.commands import needs, policy
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.legacy.endpoints import COMMANDS as ENDPOINT_COMMANDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"
BEGIN = "<!-- {0}: made by `python -m tools.permission_docs`; do not edit. -->"
END = "<!-- end of {0} -->"

# What is no command of Airflow does: as in legacy/translate, in dag_files/grants and in api/legacy_usage.
ENDPOINT_EFFECTS: Mapping[str, Effect] = {
    "check_dag_files": Effect.EXECUTE,
    "delete_dag_file": Effect.WRITE,
    "deploy_dag": Effect.EXECUTE,
    "legacy_usage": Effect.READ,
    "list_dags": Effect.READ,
    "list_tasks": Effect.READ,
    "refresh_all_dags": Effect.WRITE,
    "read_dag_files": Effect.READ,
    "refresh_dag": Effect.WRITE,
    "refresh_dag_file": Effect.WRITE,
    "rest_api_plugin_version": Effect.READ,
    "rollback_dag_file": Effect.EXECUTE,
    "run": Effect.EXECUTE,
    "serve_logs": Effect.SERVICE,
}

# What makes the effect of an endpoint graver: as in legacy/translate.
ENDPOINT_RAISED: Mapping[str, str] = {
    "list_dags": "execute with `report`",
    "list_tasks": "execute with `tree` and `subdir`",
}


def commands() -> str:
    """Return the table of all commands that are known."""
    lines = ["| command | effect | needs |", "|---|---|---|"]
    for name, row in sorted(policy.POLICY.items()):
        raised = "".join(f", {effect.value} with `{by}`" for by, effect in row.raised_by.items())
        if row.grants_access:
            raised += ", grants access"
        if row.reveals_secrets:
            raised += ", reveals secrets" + (f" with `{row.revealed_by}`" if row.revealed_by else "")
        lines.append(f"| {_named(name)} | {row.effect.value}{raised} | {_needs(name, row.effect)} |")
    return "\n".join(lines)


def endpoints() -> str:
    """Return the table of the 1.x endpoints."""
    lines = ["| endpoint | needs what these need |", "|---|---|"]
    lines += [f"| `{name}` | {_listed(commands)} |" for name, commands in sorted(ENDPOINT_COMMANDS.items())]
    lines += ["", "| endpoint, or what the API does itself, where no command does the job | effect | needs |"]
    lines += ["|---|---|---|"]
    lines += [
        f"| `{name}` | {_effect(name, effect)} | {_needs(name, effect)} |"
        for name, effect in ENDPOINT_EFFECTS.items()
    ]
    return "\n".join(lines)


def with_parts(page: str) -> str:
    """Return the page with its generated parts as they must be."""
    for name, part in (("commands", commands()), ("endpoints", endpoints())):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{part}\n\n{end}{after}"
    return page


def _needs(name: str, effect: Effect) -> str:
    power = needs.OF_EFFECT.get(effect) if name not in needs.DEPLOYMENT else None
    found = [f"the power {power}"] if power else []
    if name in policy.POLICY and policy.POLICY[name].grants_access:
        found.append(f"the power {needs.ADMINISTER}")
    for need in needs.NEEDS[name]:
        phrase = needs.phrase(need)
        if need.resource is needs.Resource.POWER:
            phrase = f"the power {need.entity}" + (f" (with `{need.when}`)" if need.when else "")
        found.append(phrase)
    if name == "refresh_dag_file":
        found = [f"{' and '.join(found)}, or permission to edit each DAG of the file"]
    return "; ".join(found) or "a token"


def _effect(name: str, effect: Effect) -> str:
    raised = ENDPOINT_RAISED.get(name)
    return f"{effect.value}, {raised}" if raised else effect.value


def _named(name: str) -> str:
    return f"`{name}`" + (" (Airflow 2)" if name in policy.REMOVED_IN_3_0 else "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_named, names))


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_parts(PAGE.read_text()))


if __name__ == "__main__":
    main()
