"""What the API answers about DAG files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from airflow_rest_api.api.models import Model

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

    id: str = Field(description="Of the deployment.")
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
    changed_outside: bool = Field(description="What lies there is not what was deployed last, or is gone.")


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
