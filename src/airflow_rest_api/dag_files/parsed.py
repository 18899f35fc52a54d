"""What Airflow made of DAG files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BY_PROCESSOR, HERE = "dag-processor", "api-server"


@dataclass(frozen=True)
class ParsedFile:
    """
    What Airflow made of a file.

    :ivar parsed: False where it has not been seen to parse the file; what it has of it may be old
    :ivar dags: the number of the version that runs from now on, by DAG; None where none is stored
    :ivar error: the import error
    """

    bundle: str
    path: str
    parsed: bool
    dags: dict[str, int | None] = field(default_factory=dict)
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return it as it stands in results."""
        dags = [{"dag_id": dag_id, "version": version} for dag_id, version in sorted(self.dags.items())]
        return {
            "bundle": self.bundle,
            "path": self.path,
            "parsed": self.parsed,
            "dags": dags,
            "error": self.error,
        }


@dataclass(frozen=True)
class Parsed:
    """
    What Airflow made of files.

    :ivar by: `dag-processor`, or `api-server` where they were parsed here
    :ivar lost: the DAG processor was alive when it was asked, and then no longer was
    """

    files: list[ParsedFile]
    by: str = BY_PROCESSOR
    lost: bool = False

    @property
    def complete(self) -> bool:
        """Whether every file has been parsed."""
        return all(file.parsed for file in self.files)

    def shown(self) -> dict[str, Any]:
        """Return it as it stands in results."""
        return {"parsed_by": self.by, "files": [file.shown() for file in self.files]}

    @property
    def failure(self) -> str | None:
        """A sentence on the first file that has an import error, or that was not parsed; None without one."""
        for file in self.files:
            if file.error is not None:
                lines = file.error.strip().splitlines()
                return f"{file.path}: {lines[-1] if lines else 'import error'}"
        late = [file.path for file in self.files if not file.parsed]
        return f"{late[0]} has not been parsed yet." if late else None
