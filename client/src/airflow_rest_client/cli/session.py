"""A client for one command line: of an instance, with the commands that are known of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from airflow_rest_client.cache import CatalogCache
from airflow_rest_client.catalog import Catalog
from airflow_rest_client.client import Client
from airflow_rest_client.errors import RestError
from airflow_rest_client.instances import Instance, Instances
from airflow_rest_client.quick import carrier


@dataclass
class Options:
    """
    What stands before the first word of a command.

    :ivar instance: its name, None for the default one
    :ivar queue: whose runners run the command; None: where the server says
    :ivar detach: print the id of the operation, and leave
    :ivar overwrite: files that are there may be written anew
    :ivar ask: arguments that are asked for, or read from standard input
    :ivar answers: what was answered, by argument, and to the question whether one is sure
    """

    instance: str | None = None
    queue: str | None = None
    detach: bool = False
    overwrite: bool = False
    ask: list[str] = field(default_factory=list)
    answers: dict[str | None, str] = field(default_factory=dict, repr=False)


class Session:
    """The Airflow that a command line is for."""

    def __init__(self, options: Options, instances: Instances | None = None) -> None:
        self.options = options
        self.instances = instances or Instances()
        self.instance: Instance = self.instances.get(options.instance)
        credentials = self.instance.credentials(self.instances)
        self.client = Client(
            self.instance.url,
            credentials=credentials,
            carrier=carrier(self.instance.url),
            queue=options.queue,
        )
        self._cache = CatalogCache(self.instance.url)
        self._catalog: Catalog | None = None

    def catalog(self) -> Catalog:
        """Return the commands, as they were last seen."""
        if self._catalog is None:
            self._catalog = self._cache.read() or self.renewed_catalog()
        return self._catalog

    def renewed_catalog(self) -> Catalog:
        """Return the commands of the server of now."""
        known = self._catalog or self._cache.read()
        self._catalog = self.client.do(self.client.server.catalog(known))
        if self._catalog is not known:
            self._cache.write(self._catalog)
        return self._catalog

    def seen(self, etag: str | None) -> None:
        """Take note of the catalog by which the server read a command: of another one the next knows."""
        if etag and self._catalog is not None and etag != self._catalog.etag:
            # The command has ended: how, is all that counts now.
            with suppress(RestError):
                self.renewed_catalog()
