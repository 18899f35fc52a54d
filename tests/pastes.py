"""The lines that a page gives to be pasted: the code blocks of a section, run as one bash would."""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^\n)(?P<text>(?:^ {4}.*\n(?:^\n(?= {4}))*)+)", re.MULTILINE)


def section(page: Path, heading: str) -> str:
    """Return what is below a heading of the second level, or above the first one for an empty heading."""
    parts = re.split(r"^## +(.*)$", page.read_text(), flags=re.MULTILINE)
    sections = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return sections[heading]


def blocks(page: Path, heading: str) -> list[str]:
    """Return the code blocks of a section that are indented, without their indentation."""
    found = [match["text"] for match in INDENTED.finditer(FENCE.sub("", section(page, heading)))]
    return [textwrap.dedent(text) for text in found]


def fenced(page: Path, heading: str, language: str) -> str:
    """Return the only block of a section that is fenced as one of a language."""
    [text] = [
        match["text"] for match in FENCE.finditer(section(page, heading)) if match["language"] == language
    ]
    return str(text)


def run(
    lines: str, replaced: Mapping[str, str], *, env: Mapping[str, str], cwd: Path, seconds: float = 300
) -> str:
    """
    Run lines with what stands for something in them replaced, and return what they print.

    The first one that fails ends the test with what was printed.
    """
    for placeholder, value in replaced.items():
        lines = lines.replace(placeholder, value)
    assert "…" not in re.sub(r"#.*", "", lines), lines
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout
