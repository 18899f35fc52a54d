"""`deploy_dag`, `refresh_dag` and `refresh_all_dags`."""

from __future__ import annotations

import re
from dataclasses import replace

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.dag_files.archive import ENDINGS
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.deploy import Deployment
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Context, Ignored, Work, dag_id_of, own_work

NO_FILE = "dag_file should be provided"
NOT_PYTHON = "dag_file is not a *.py file"
UNSAFE_NAME = (
    "The name of dag_file may have letters, digits, spaces and -_.+()@ in it, and must not begin with a dot"
)
BOTH = "Both options pause and unpause were given. Skipping setting the state (pause, unpause) of the DAG"

LONGEST_NAME = 200
_SAFE_NAME = re.compile(r"[\w+()@-][\w .+()@-]*\.(py|zip|tgz|tar\.gz)", re.UNICODE)


def deploy(request: Request, context: Context) -> Work:
    """Store a DAG file, or the files of an archive."""
    file = request.files.get("dag_file")
    if file is None or not file.name:
        raise Refusal(NO_FILE)
    if not file.name.endswith((".py", *ENDINGS)):
        raise Refusal(NOT_PYTHON)
    if not _SAFE_NAME.fullmatch(file.name) or len(file.name.encode()) > LONGEST_NAME:
        raise Refusal(UNSAFE_NAME)
    pause, unpause = request.given("pause"), request.given("unpause")
    deployment = Deployment(
        name=file.name,
        force=request.given("force"),
        force_invalid=request.given("force_invalid"),
        paused=None if pause == unpause else pause,
        bundle=request.get("bundle"),
        folder=request.get("path") or "",
        wait=request.given("wait"),
    )
    both = [Ignored(BOTH, ("pause", "unpause"))] if pause and unpause else []
    work = own_work(request, "deploy", Effect.EXECUTE, {}, both)
    return replace(work, deployment=deployment)


def refresh(request: Request, context: Context) -> Work:
    """Have the file of a DAG parsed anew, or all: by the DAG processor, or here where none is alive."""
    order = {"dag_id": dag_id_of(request)}
    ask = own_work(request, "refresh:refresh", Effect.WRITE, order)
    if context.processor_alive():
        return ask
    return replace(own_work(request, "refresh:refresh", Effect.EXECUTE, {**order, "here": True}), instead=ask)
