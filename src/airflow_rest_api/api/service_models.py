"""What the API takes and answers about services."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from airflow_rest_api.api.models import ArgumentSummary, CommandRefusal, Model
from airflow_rest_api.services.model import Restart, State

if TYPE_CHECKING:
    from airflow_rest_api.airflow.jobs import Beat
    from airflow_rest_api.commands.model import Argument
    from airflow_rest_api.errors import Forbidden
    from airflow_rest_api.services.jobs import Seen
    from airflow_rest_api.services.kinds import Kind


class StartBody(Model):
    """A component to be started."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(examples=["celery-worker"])
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="By name, as `GET /v2/services/kinds` lists them."
    )
    restart: Restart = Field(Restart.NEVER, description="What to do when it fails.")
    another: bool = Field(False, description="Start it although the same runs on this host already.")


class StopBody(Model):
    """How to stop a component."""

    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Kill it and all that it has started, without asking first.")


class KindBody(Model):
    """A kind of component."""

    kind: str
    title: str
    command: str
    available: bool = Field(description="It can be started on the host that answers.")
    reason: str | None = Field(description="Why it cannot.")
    allowed: bool = Field(description="The caller may start it, with some arguments.")
    refusal: CommandRefusal | None = Field(description="Why not, where it is not allowed.")
    arguments: list[ArgumentSummary]


class KindList(Model):
    """The kinds of components."""

    kinds: list[KindBody]


class LogNames(Model):
    """The names of log files in Airflow's base log folder."""

    stdout: str
    stderr: str


class JobBody(Model):
    """A component as Airflow's own table of jobs has it."""

    job_id: int
    state: str | None
    latest_heartbeat: datetime | None
    healthy: bool = Field(description="By the thresholds of Airflow's configuration.")

    @classmethod
    def of(cls, job: Beat) -> JobBody:
        """Return the body for a job."""
        return cls(job_id=job.id, state=job.state, latest_heartbeat=job.latest_heartbeat, healthy=job.healthy)


class ServiceBody(Model):
    """A component."""

    id: str
    kind: str
    command: str
    argv: list[str] = Field(description="What was run after `airflow`, with secrets masked.")
    state: State
    pid: int | None
    host: str
    user: str | None = Field(description="Who started it.")
    created_at: datetime
    started_at: datetime | None = Field(description="Its last start.")
    ended_at: datetime | None
    exit_code: int | None = Field(description="Of its last end; the number of a signal is negative.")
    message: str | None
    restart: Restart
    restarts: int = Field(description="How often it was started again because it had failed.")
    log: LogNames | None
    operation_id: str | None = Field(description="The operation that started it last.")
    managed: bool = Field(description="It was started here. Others can only be looked at.")
    airflow: JobBody | None = Field(description="What Airflow knows of it.")

    @classmethod
    def of(cls, seen: Seen) -> ServiceBody:
        """Return the body for a component."""
        service, job = seen.service, seen.job
        return cls(
            **{
                name: getattr(service, name)
                for name in cls.model_fields
                if name not in ("argv", "user", "log", "operation_id", "managed", "airflow")
            },
            argv=list(service.argv),
            user=service.user or None,
            log=LogNames(stdout=service.stdout, stderr=service.stderr) if service.stdout else None,
            operation_id=service.operation,
            managed=seen.managed,
            airflow=None if job is None else JobBody.of(job),
        )


class ServiceList(Model):
    """Components, the newest first; those that others have started at the end."""

    services: list[ServiceBody]


def kind_body(
    kind: Kind,
    reason: str | None,
    arguments: list[Argument],
    *,
    allowed: bool,
    refused: Forbidden | None = None,
) -> KindBody:
    """
    Return the body for a kind of component.

    :param reason: why it cannot be started here
    :param refused: why the caller may not start it
    """
    return KindBody(
        kind=kind.name,
        title=kind.title,
        command=kind.command,
        available=reason is None,
        reason=reason,
        allowed=allowed,
        refusal=CommandRefusal.of(refused),
        arguments=[ArgumentSummary.model_validate(argument) for argument in arguments],
    )
