"""Make the generated tables of `docs/permissions.md`: what each command does and needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_rest_api.commands import needs, policy
from airflow_rest_api.legacy.endpoints import ENDPOINT_COMMANDS
from tools.generated import with_part

PAGE = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"
BEGIN = "<!-- {0}: made by `python -m tools.permission_docs`; do not edit. -->"
END = "<!-- end of {0} -->"

# What makes the effect of an endpoint more severe only together: as in legacy/translate.
RAISED_TOGETHER: Mapping[str, str] = {"list_tasks": ", execute with `tree` and `subdir`"}


def commands() -> str:
    """Return the table of all commands that are known."""
    lines = ["| command | effect | needs |", "|---|---|---|"]
    lines += [_row(name, policy.COMMANDS[name]) for name in sorted(policy.COMMANDS)]
    return "\n".join(lines)


def endpoints() -> str:
    """Return the table of the 1.x endpoints."""
    lines = ["| endpoint | needs what these need |", "|---|---|"]
    lines += [f"| `{name}` | {_listed(commands)} |" for name, commands in sorted(ENDPOINT_COMMANDS.items())]
    lines += ["", "| endpoint, or what the API does itself, where no command does the job | effect | needs |"]
    lines += ["|---|---|---|"]
    lines += [_row(name, rule) for name, rule in policy.OWN.items()]
    return "\n".join(lines)


def with_parts(page: str) -> str:
    """Return the page with its generated parts as they must be."""
    for name, part in (("commands", commands()), ("endpoints", endpoints())):
        page = with_part(page, BEGIN.format(name), END.format(name), part)
    return page


def _row(name: str, rule: policy.Rule) -> str:
    effect = rule.effect.value
    if rule.parses_before is not None:
        effect += f", execute before Airflow {'.'.join(map(str, rule.parses_before))}"
    effect += "".join(f", {raised.value} with `{by}`" for by, raised in rule.raised_by.items())
    effect += RAISED_TOGETHER.get(name, "")
    if rule.grants_access:
        effect += ", grants access"
    if rule.reveals_secrets:
        effect += ", reveals secrets" + (f" with `{rule.revealed_by}`" if rule.revealed_by else "")
    return f"| `{name}` | {effect} | {_needs(name, rule)} |"


def _needs(name: str, rule: policy.Rule) -> str:
    powers = [needs.OF_EFFECT[rule.effect]] if rule.effect in needs.OF_EFFECT and not rule.own_power else []
    powers += [needs.ADMINISTER] if rule.grants_access else []
    found = [f"the power {power}" for power in powers] + [_phrase(need) for need in rule.needs]
    if name == "refresh_dag_file":
        return f"{' and '.join(found)}, or permission to edit each DAG of the file"
    found += [f"{_phrase(need)} (where there are teams)" for need in rule.with_teams]
    return "; ".join(found) or "a token"


def _phrase(need: needs.Need) -> str:
    if need.resource is not needs.Resource.POWER:
        return needs.phrase(need)
    words = f"the power {need.entity}"
    words += f" (with `{need.when}`)" if need.when else ""
    words += f" (before Airflow {'.'.join(map(str, need.before))})" if need.before else ""
    return words + (f" (without `{need.unless}`)" if need.unless else "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names if name in policy.COMMANDS)


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_parts(PAGE.read_text()))


if __name__ == "__main__":
    main()
