"""
Rehearsals of writing commands, all of which is taken back.

The first `dags trigger` of a process takes several times as long as the next: statements are compiled,
classes and properties made. A rehearsal with a name that does not exist ends before most of that. So these
are run with a DAG that does exist, in transactions that nobody may commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

DAG_ID = "{dag_id}"
"""Stands for the DAG in `rehearsals.IN_VAIN`."""


def rehearse_in_vain(lines: tuple[tuple[str, ...], ...], rehearse: Callable[[tuple[str, ...]], None]) -> None:
    """
    Rehearse commands with a DAG of the database, and let nothing of it be committed.

    Where listeners are registered nothing is rehearsed: they would hear of runs that never were.
    """
    from airflow.listeners.listener import get_listener_manager

    if get_listener_manager().has_listeners:
        return
    dag_id = _some_dag()
    if dag_id is None:
        return
    with _nothing_committed():
        for argv in lines:
            rehearse(tuple(dag_id if word == DAG_ID else word for word in argv))


def _some_dag() -> str | None:
    """Return the first DAG that runs can be made of."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found: str | None = session.scalar(
            select(SerializedDagModel.dag_id).order_by(SerializedDagModel.dag_id).limit(1)
        )
        return found


@contextlib.contextmanager
def _nothing_committed() -> Iterator[None]:
    """Flush where a commit is asked for: the session's end, which Airflow never leaves out, rolls it back."""
    from airflow import settings
    from sqlalchemy.orm import Session

    commit = Session.commit
    Session.commit = Session.flush  # type: ignore[method-assign]
    try:
        yield
    finally:
        Session.commit = commit  # type: ignore[method-assign]
        if settings.Session is not None:
            settings.Session.rollback()
