"""The commands as the command line has them: what a client needs in order to be one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from airflow_rest_api import __version__
from airflow_rest_api.airflow import installation
from airflow_rest_api.api.context import ContextDep, by_name
from airflow_rest_api.api.models import Model, errors
from airflow_rest_api.asgi import names_tag
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.policy import ASKS, CONFIRMS_WITH
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Command

CATALOG = "Airflow-Catalog"
"""The header of an answer with the `ETag` of the catalog by which the command was read."""

router = APIRouter(prefix="/v2/catalog", tags=["commands"], generate_unique_id_function=by_name)


class CatalogArgument(Model):
    """An argument as the command line has it."""

    name: str = Field(description="By which a request names it, and a file that is sent along.")
    flags: list[str] = Field(description="Empty for one that is given by its place.")
    type: str
    help: str | None
    required: bool = Field(
        description="By a request that names its arguments, a file to be written need not be given even so."
    )
    repeatable: bool
    together: bool = Field(description="Its values follow one flag, and not each a flag of its own.")
    flag: bool = Field(description="It takes no value.")
    negative: str | None = Field(description="The flag that stands for false.")
    choices: list[str] | None
    default: Any
    file: Literal["in", "out"] | None = Field(
        description="The command reads, or writes, a file of the client's."
    )
    dash: bool = Field(description="A file to be written that `-` makes standard output.")
    secret: bool


class CatalogCommand(Model):
    """A command as the command line has it."""

    name: str = Field(examples=["dags list"])
    help: str
    description: str | None
    effect: Effect
    asks: list[str] = Field(
        description="Arguments of which one has to be given: the command would ask a person for the first.",
        examples=[["password", "use_random_password"]],
    )
    confirms: bool = Field(
        description="It would ask a person whether they are sure, but for `yes` or `dry_run`; here it is "
        "never asked, and done."
    )
    confirms_with: str | None = Field(description="The argument without which it does not ask either.")
    arguments: list[CatalogArgument]

    @classmethod
    def of(cls, command: Command) -> CatalogCommand:
        """Return the entry of a command."""
        asked = [name for name in ASKS.get(command.name, ()) if command.argument(name)]
        return cls(
            name=command.name,
            help=command.help,
            description=command.description,
            effect=command.effect,
            asks=asked,
            confirms=command.argument("yes") is not None,
            confirms_with=CONFIRMS_WITH.get(command.name),
            arguments=[CatalogArgument.model_validate(argument) for argument in command.arguments],
        )


class CatalogBody(Model):
    """All commands of this Airflow, whoever asks: `GET /v2/commands` says what the caller may run."""

    airflow_version: str
    plugin_version: str
    groups: dict[str, str] = Field(description="The first words that commands share, with a line on each.")
    commands: list[CatalogCommand]


@dataclass(frozen=True)
class _Encoded:
    content: bytes
    etag: str


# One process has one catalog; one more is that of a test.
@lru_cache(maxsize=2)
def _encoded(catalog: Catalog) -> _Encoded:
    body = CatalogBody(
        airflow_version=installation.version(),
        plugin_version=__version__,
        groups=dict(catalog.groups),
        commands=[CatalogCommand.of(command) for command in catalog.commands.values()],
    )
    content = body.model_dump_json().encode()
    return _Encoded(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def prepared(load: Callable[[], Catalog]) -> Catalog:
    """Return the catalog that a function reads, encoded: no command has the event loop wait for that."""
    catalog = load()
    _encoded(catalog)
    return catalog


def etag(catalog: Catalog) -> str:
    """Return the entity tag of the commands, in quotes (RFC 9110, 8.8.3)."""
    return _encoded(catalog).etag


@router.get(
    "",
    response_model=CatalogBody,
    responses={304: {"description": "It is the one that `If-None-Match` names."}, **errors()},
)
@needs(Needs.TOKEN)
async def get_catalog(request: Request, context: ContextDep) -> Response:
    """
    Return all commands as the command line has them, the same for every caller.

    The answer to a command names its `ETag` in `Airflow-Catalog`, so a client that keeps it knows without a
    request of its own when there is another.
    """
    encoded = _encoded(await context.catalog.get())
    headers = {"ETag": encoded.etag, "Cache-Control": "private, no-cache"}
    if names_tag(request.headers.get("if-none-match", ""), encoded.etag):
        return Response(status_code=304, headers=headers)
    return Response(encoded.content, headers=headers, media_type="application/json")
