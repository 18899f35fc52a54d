"""Work on DAG files as operations, and their ends as answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field
from starlette.responses import Response

from airflow_rest_api.api.answers import answer_operation, preference_of
from airflow_rest_api.api.models import Model
from airflow_rest_api.commands.model import Invocation
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.dag_files.deployment import refusal
from airflow_rest_api.dag_files.grants import COMMANDS
from airflow_rest_api.operations.model import Origin

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.dag_files.bundles import BundleFolder
    from airflow_rest_api.dag_files.grants import Scope
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.operations.model import Key, Operation
    from airflow_rest_api.operations.runs import Work
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Attempt

LAST = 2**31 - 1
"""The largest number of a version that every database has room for."""


class BundleBody(Model):
    """A DAG bundle."""

    name: str
    kind: str = Field(examples=["local", "git", "s3"])
    writable: bool = Field(description="Whether files can be put into it.")
    reason: str | None = Field(description="Why not, and where its files come from.")
    folders: list[str] | None = Field(
        None, description="The folders in which the caller may deploy; null for all of the bundle."
    )


class BundleList(Model):
    """The DAG bundles of this Airflow."""

    bundles: list[BundleBody]


class VersionShort(Model):
    """The newest version of a file that came through us."""

    id: str = Field(validation_alias="deployment", description="Of the deployment.")
    version: int
    user: str
    at: datetime


class DagFileBody(Model):
    """A file of a bundle."""

    bundle: str
    path: str = Field(description="In the bundle, with slashes.")
    size: int | None = Field(description="Bytes; null where the file is gone.")
    modified_at: datetime | None
    dag_ids: list[str] = Field(description="The DAGs that Airflow knows from it.")
    deployed: VersionShort | None
    changed_outside: bool = Field(description="What is there is not what was deployed last, or is gone.")


class DagFileList(Model):
    """Files of a bundle, by path."""

    files: list[DagFileBody] = Field(description="May be fewer than `limit`: what counts is `next`.")
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


class VersionBody(Model):
    """A version of a file."""

    version: int
    change: Literal["added", "changed", "unchanged", "deleted", "outside"] = Field(
        description="`outside`: it did not come through us, and was found when it was replaced."
    )
    sha256: str | None = Field(description="Of the content; null for a file that was deleted.")
    size: int | None
    deployment: str
    kind: Literal["deploy", "rollback", "delete"]
    user: str
    at: datetime


class VersionList(Model):
    """The versions of a file that are kept, the newest first."""

    bundle: str
    path: str
    versions: list[VersionBody]


class DeploymentBody(Model):
    """One change of a bundle."""

    id: str
    kind: Literal["deploy", "rollback", "delete"]
    bundle: str
    user: str
    at: datetime
    operation_id: str | None
    count: int = Field(description="Files that were sent.")


class DeploymentList(Model):
    """Deployments, the newest first."""

    deployments: list[DeploymentBody] = Field(description="May be fewer than `limit`: what counts is `next`.")
    next: str | None


class DeployedFile(Model):
    """A file of a deployment."""

    path: str
    version: int
    change: str
    sha256: str | None
    size: int | None


class DeploymentDetail(DeploymentBody):
    """A deployment with its files; those whose version is no longer kept are left out."""

    files: list[DeployedFile]


class RollbackBody(Model):
    """Which version to bring back."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=LAST)


READ = "read_dag_files"
"""The command of reading them: see `grants.COMMANDS`."""

MOST_WORDS = 50
"""Of what is shown as run: an archive can have thousands of files."""


async def start_work(
    context: Context,
    caller: Caller,
    argv: Sequence[str],
    work: Work,
    *,
    bundle: str,
    paths: Collection[str],
    attempts: Iterable[Attempt] = (),
    recorded: bool = False,
    key: Key | None = None,
    received: Received | None = None,
) -> Operation:
    """
    Start work on DAG files that the caller may do; raise Forbidden where they may not.

    :param argv: what is shown as run; the first is one of `grants.COMMANDS`
    :param attempts: of commands that it runs besides
    :param received: belongs to the operation from then on
    """
    command = argv[0]
    shown = [*argv[:MOST_WORDS], "…"] if len(argv) > MOST_WORDS else list(argv)
    invocation = Invocation(own_command(command), [], {}, frozenset(), masked=shown)
    permit = await context.grants.authorize(caller, invocation, bundle, paths, attempts=attempts)
    operation = await context.operations.start_work(
        permit,
        command,
        work,
        effect=COMMANDS[command],
        argv=shown,
        origin=Origin(recorded, key),
        workspace=received,
    )
    if received is not None:
        received.release()
    return operation


async def answer(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str]
) -> Response:
    """
    Wait as long as the client wants to, and answer with the operation.

    :raises ApiError: it has ended, and what it was asked for cannot be done
    """
    preference = preference_of(request, context.settings.default_wait)
    operation = await context.operations.wait(operation.id, preference.wait)
    if (problem := refusal(operation)) is not None:
        raise problem
    return answer_operation(request, operation, preference, headers)


async def scope_of(context: Context, caller: Caller, command: str) -> Scope:
    """Return where a user may run a command on DAG files; raise Forbidden."""
    with context.audit.refusals(caller, command):
        return await context.grants.scope(caller, command)


async def place_of(
    context: Context, caller: Caller, command: str, scope: Scope, bundle: str | None, folder: str
) -> BundleFolder:
    """Return the place that a client names: see `Scope.place`."""
    with context.audit.refusals(caller, command):
        return await asyncio.to_thread(scope.place, command, bundle, folder)
