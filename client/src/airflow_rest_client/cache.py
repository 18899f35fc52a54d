"""The commands of each server, as they were last seen: so that a command line takes one request."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from airflow_rest_client.catalog import Catalog
from airflow_rest_client.instances import cache_folder, write_privately

MOST = 200
"""Characters of a URL in the name of a file: file systems have some 255 bytes."""


class CatalogCache:
    """
    The catalog of one server, in a file.

    :param url: of the server
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        name = quote(url, safe="")[-MOST:]
        self._path = (folder or cache_folder()) / f"catalog-{name}.json"

    def read(self) -> Catalog | None:
        """Return the catalog, None where there is none that can be read."""
        try:
            kept = json.loads(self._path.read_bytes())
            return Catalog(kept["body"], kept["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, catalog: Catalog) -> None:
        """Keep a catalog; where there is no room for it, it is asked for again."""
        with suppress(OSError):
            write_privately(self._path, json.dumps({"etag": catalog.etag, "body": catalog.body}))
