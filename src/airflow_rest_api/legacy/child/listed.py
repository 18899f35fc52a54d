"""`variables` and `connections` without a verb: what 1.x listed, which today's commands do not show so."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.legacy.child.messages import ordered

HIDDEN = "***"


@ordered
def main(order: dict[str, Any]) -> None:
    """Print rows as JSON, in the order in which they were made; order: `kind`, connections or variables."""
    from airflow.cli.simple_table import AirflowConsole
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = _variables(session) if order["kind"] == "variables" else _connections(session)
    AirflowConsole().print_as(data=rows, output="json")


def _variables(session: Any) -> list[dict[str, Any]]:
    from airflow.models.variable import Variable
    from sqlalchemy import select

    return [{"key": key} for key in session.scalars(select(Variable.key).order_by(Variable.id))]


def _connections(session: Any) -> list[dict[str, Any]]:
    """Return the columns of 1.x; of what may hold a secret only whether it is there."""
    from airflow.models.connection import Connection
    from sqlalchemy import select

    columns: Any = (
        Connection.conn_id,
        Connection.conn_type,
        Connection.host,
        Connection.port,
        Connection.is_encrypted,
        Connection.is_extra_encrypted,
        Connection._extra,
    )
    names = ("conn_id", "conn_type", "host", "port", "is_encrypted", "is_extra_encrypted", "extra")
    # Columns, not objects: what is stored stays encrypted, and cannot fail to be decrypted.
    found = session.execute(select(*columns).order_by(Connection.id))
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return [{**row, "extra": HIDDEN if row["extra"] else None} for row in rows]
