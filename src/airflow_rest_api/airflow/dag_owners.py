"""Airflow 3: which file each DAG comes from. Blocks: for threads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_rest_api.airflow.parsing import TOGETHER, container

File = tuple[str, str]


def owners(dag_ids: Iterable[str]) -> dict[str, File]:
    """
    Return the bundle and the file of those DAGs that Airflow knows, and that are still there.

    Those of a file that cannot be imported at the moment are among them, which Airflow calls stale.
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import or_, select

    wanted = sorted(set(dag_ids))
    found: dict[str, File] = {}
    with create_session() as session:
        for start in range(0, len(wanted), TOGETHER):
            rows = session.execute(
                select(DagModel.dag_id, DagModel.bundle_name, DagModel.relative_fileloc).where(
                    DagModel.dag_id.in_(wanted[start : start + TOGETHER]),
                    or_(DagModel.is_stale.is_(False), DagModel.has_import_errors.is_(True)),
                )
            )
            found.update(
                {dag_id: (bundle, container(path)) for dag_id, bundle, path in rows if bundle and path}
            )
    return found


def dags_by_file(bundle: str, paths: Sequence[str]) -> dict[str, list[str]]:
    """Return the DAGs that Airflow knows from each of some files of a bundle."""
    from airflow_rest_api.airflow.parsing import look

    seen = look([(bundle, path) for path in paths])
    return {path: sorted(found.dags) for (_, path), found in seen.items() if found.dags}


def set_paused(dag_ids: Iterable[str], paused: bool) -> set[str]:
    """Pause or resume DAGs; return those that Airflow knows."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = sorted(set(dag_ids))
    done: set[str] = set()
    with create_session() as session:
        for start in range(0, len(wanted), TOGETHER):
            for model in session.scalars(
                select(DagModel).where(DagModel.dag_id.in_(wanted[start : start + TOGETHER]))
            ):
                model.is_paused = paused
                done.add(model.dag_id)
    return done
