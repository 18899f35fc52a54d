"""`refresh_dag` and `refresh_all_dags`: the DAG processor parses files when asked to, wherever it runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import File
from airflow_rest_api.dag_files.child.parse import parse_files
from airflow_rest_api.dag_files.refresh import request_parse, until_parsed
from airflow_rest_api.legacy.child.messages import OrderRefused, answer, ordered, unknown_dag, warn

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.refresh import Parsed

PATIENCE = 20.0
"""Seconds to wait for the DAG processor while no file gets further."""

AT_MOST = 60.0
"""Seconds to wait in all: who calls this waits for the answer."""

NO_PROCESSOR = "No DAG processor is alive: "


@ordered
def refresh(order: dict[str, Any]) -> None:
    """Order: `dag_id`, or none for all; `here`: there is no DAG processor, and the caller may do its work."""
    dag_id = order.get("dag_id")
    files = [_file_of(dag_id)] if dag_id else sorted(dag_processor.all_files())
    if order.get("here"):
        if dag_id:
            parse_files(files)
        else:
            _reserialize()
        warn(f"{NO_PROCESSOR}the files were parsed by the API server")
    else:
        _ask(files)
    _warn_of_errors(files)
    answer(f"DAG [{dag_id}] is now fresh as a daisy" if dag_id else "All DAGs are now up to date")


def _file_of(dag_id: str) -> File:
    try:
        file = dag_processor.file_of(dag_id)
    except LookupError:
        raise OrderRefused(unknown_dag(dag_id)) from None
    if file is None:
        raise OrderRefused(f"The file of the DAG '{dag_id}' is not known to Airflow")
    return file


def _ask(files: list[File]) -> None:
    if not dag_processor.processor_alive():
        dag_processor.request_parsing(files)
        warn(f"{NO_PROCESSOR}the files will be parsed when one is started")
        return
    parsed = asyncio.run(_parsed(files))
    if late := [file for file in parsed.files if not file.parsed]:
        warn(
            f"The DAG processor has been asked to parse {len(files)} file(s); "
            f"it has yet to finish {len(late)} of them"
        )


async def _parsed(files: list[File]) -> Parsed:
    return await until_parsed(await request_parse(files), patience=PATIENCE, at_most=AT_MOST)


def _reserialize() -> None:
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(["dags", "reserialize"])
    arguments.func(arguments)


def _warn_of_errors(files: list[File]) -> None:
    for (_, path), seen in sorted(dag_processor.look(files).items()):
        if seen.error is not None:
            lines = seen.error.strip().splitlines()
            warn(f"{path}: {lines[-1] if lines else 'import error'}")
