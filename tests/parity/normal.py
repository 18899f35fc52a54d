"""What may differ between two runs of the same command, and is made the same before they are compared."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

_FRAME_OF_THE_SCRIPT = r'(  File "[^"]*/bin/airflow", line \d+, in <module>\n    .*\n( +\^+\n)?)?'
_GRAPHVIZ = r"^.*Could not import graphviz\. Rendering.*\n(You might need.*\n)?(Run `pip install.*\n)?"

PATTERNS = (
    # Warnings of an import: the warm parent imports once, a new process each time.
    (r"^.*\[py\.warnings\].*\n", ""),
    (_GRAPHVIZ, ""),
    (r"^.*DeprecatedImportWarning.*\n", ""),
    # Both tracebacks begin with the frames above Airflow's entry point.
    (r"Traceback \(most recent call last\):\n" + _FRAME_OF_THE_SCRIPT, "Traceback:\n"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "<time>"),
    (r"(datetime\.datetime|DateTime)\(\d{4}, [\d, ]+", "<time>, "),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"\d+:\d\d:\d\d\.\d+", "<duration>"),
    (r"(duration|_seconds|elapsed)(=|\": )\S+", r"\1\2<duration>"),
    (r"\b\d+\.\d{3,}", "<number>"),
    (r"pid=\d+|PID \d+|process_id=\d+", "<pid>"),
    (r"0x[0-9a-f]{6,}", "<address>"),
    # Connection strings are masked in the output through REST.
    (r"url=\S+", "url=<connection>"),
    # So is a secret of the configuration that still has its documented default.
    (r"redis://redis:6379/0", "***"),
    # Through REST it is the user of the request.
    (r'"triggering_user_name": "[^"]*"', '"triggering_user_name": "<user>"'),
    # The two Airflows have ports and keys of their own.
    (r"localhost:\d+", "localhost:<port>"),
    (r"^((?:\w+_)?(?:key|secret|port)) = .*$", r"\1 = <own>"),
    (r"bin/python[\d.]*", "bin/python"),
    (r'"python_path": "[^:"]*/bin:', '"python_path": "'),
    (r'"file_token": "[^"]*"', '"file_token": "<signed>"'),
    # Counted by whether a row is deleted before or along with another, in an order that is no order.
    (r"^Removed \d+ record", "Removed <some> record"),
    # A record may come from another machine, with another patch of the same Python.
    (r"hostname=('?)[^',\s]+('?)", r"hostname=\1<host>\2"),
    (r"Tmp dir root location: \S+", "Tmp dir root location: <folder>"),
    (r"Running command: \['[^']*/", "Running command: ['"),
    (r'(File "<stdlib>/[^"]*", line) \d+', r"\1 <number>"),
    # Columns are as wide as what stands in them.
    (r"[ \t]+", " "),
    (r"=[=+]*=", "="),
    (r" +$", ""),
)


PLACES = {
    sysconfig.get_path("purelib"): "<packages>",
    sysconfig.get_path("stdlib"): "<stdlib>",
    str(Path(__file__).resolve().parents[2]): "<project>",
}
"""Where this run takes place, the longest first: a record comes from another place."""


def normal(text: str, home: Path) -> str:
    """Return `text` without times, ids, paths and widths."""
    text = text.replace(str(home), "<home>")
    for place, name in PLACES.items():
        text = text.replace(place, name)
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text
