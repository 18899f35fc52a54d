"""What the project's files promise each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_rest_api import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = sorted(path for path in (ROOT / "requirements").rglob("*") if path.is_file())


def targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def tracked() -> list[Path]:
    """The files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("target", [each for each in targets() if each != "help"])
def test_the_readme_names_every_make_target(target: str) -> None:
    assert f"make {target}" in README


def test_every_make_target_of_the_issue_exists() -> None:
    assert {"run", "test", "check", "lint", "bench", "dist", "clean"} <= set(targets())


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.name)
def test_pins_name_no_registry_and_no_path(path: Path) -> None:
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#"):
            continue
        assert "://" not in line
        assert not re.search(
            r"(^|\s)(-i|-f|-e|--index-url|--extra-index-url|--find-links|--editable)\b", line
        )
        assert not re.match(r"\s*[./]", line)


@pytest.mark.parametrize("path", [each for each in PINS if each.suffix == ".txt"], ids=lambda path: path.name)
def test_every_pin_has_hashes(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", path.read_text().strip())
    requirements = [entry for entry in entries if not entry.startswith("#")]
    assert requirements
    for entry in requirements:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_every_package_of_npm_has_a_hash() -> None:
    lock = json.loads((ROOT / "requirements" / "typescript" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())


def test_the_version_has_one_source() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/airflow_rest_api/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", __version__)


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    release = re.sub(r"\.dev\d+$", "", __version__)
    heading = f"## [Unreleased] {release}" if release != __version__ else f"## [{release}]"
    assert heading in changelog


def test_the_only_dependency_is_airflow() -> None:
    assert PROJECT["project"]["dependencies"] == ["apache-airflow>=3.0"]


def test_the_licence_is_there_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_no_file_is_large_or_binary_by_accident() -> None:
    for path in tracked():
        # Swagger UI and ReDoc, as their makers bundle them.
        vendored = path.parent.name == "vendor"
        assert path.stat().st_size < (2_000_000 if vendored else 1_000_000), path
        # Pictures of the page: tests/test_screenshots.py knows each of them.
        if path.parent != ROOT / "docs" / "images" or path.suffix != ".png":
            assert b"\0" not in path.read_bytes(), path
