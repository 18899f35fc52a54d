"""The steps of a migration: each does nothing where it was done before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect

from airflow_rest_api.storage.schema import TABLE_OPTIONS

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.engine import Connection
    from sqlalchemy.schema import SchemaItem


class Steps:
    """What a migration does to the tables, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._operations = Operations(MigrationContext.configure(connection))

    def table(self, name: str, *items: SchemaItem) -> None:
        """Create a table with these columns and constraints; its indexes are steps of their own."""
        if not inspect(self.connection).has_table(name):
            self._operations.create_table(name, *items, **TABLE_OPTIONS)

    def column(self, table: str, column: Column[Any]) -> None:
        """Add a column; it must be nullable or have a server default."""
        if column.name not in {found["name"] for found in inspect(self.connection).get_columns(table)}:
            self._operations.add_column(table, column)

    def index(self, name: str, table: str, *columns: str, unique: bool = False) -> None:
        """Create an index."""
        if name not in {found["name"] for found in inspect(self.connection).get_indexes(table)}:
            self._operations.create_index(name, table, list(columns), unique=unique)
