"""Make the list of modules in `docs/architecture.md`, from the first lines of their docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

from tools.generated import with_part

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "airflow_rest_api"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- The list is made by `python -m tools.module_docs`; do not edit. -->"
END = "<!-- end of the list -->"


def subject(module: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").partition("\n")[0]


def modules() -> str:
    """Return the list: a table for each package."""
    folders: dict[Path, list[Path]] = {}
    for module in sorted(SOURCE.rglob("*.py")):
        if module.name != "__init__.py":
            folders.setdefault(module.parent, []).append(module)
    parts = []
    for folder, found in sorted(folders.items()):
        name = folder.relative_to(SOURCE).as_posix()
        title = "Beside the packages" if name == "." else f"`{name}/`"
        rows = [f"| `{module.name}` | {subject(module)} |" for module in found]
        parts.append("\n".join([f"### {title}", "", "| module | subject |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def with_modules(page: str) -> str:
    """Return the page with its list as it must be."""
    return with_part(page, BEGIN, END, modules())


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_modules(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
