"""
A command that asks for one DAG parses the file that the database names for it, and writes no other DAG.

Airflow's `get_bagged_dag` parses every file of one bundle after the other, and writes all DAGs that it finds,
until it has the DAG. Here it gets the bundle of the DAG first, and the file of the DAG first in that: what it
goes on with where the DAG is not in there is what it always does.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_rest_api.airflow.compat import dags
from airflow_rest_api.airflow.dag_processor import file_of
from airflow_rest_api.engine.patches import patch, replaced

PARAMETERS = ["bundle_names", "dag_id", "dagfile_path"]
"""Those of the function by which Airflow looks for a DAG (`dags.lookup`) that are known here."""


@dataclass
class Search:
    """
    The search for a DAG in the file that the database names for it.

    :ivar path: of the file in the bundle
    :ivar bundle: Airflow's, once it is known that Airflow will parse the file
    :ivar version: what is checked out of a bundle with versions, and what the bundle says of it
    :ivar begins: whether the next bag that Airflow fills from the bundle is to begin with the file
    :ivar bag: that bag
    :ivar found: whether the DAG was in the file
    """

    dag_id: str
    bundle_name: str
    path: PurePosixPath
    bundle: Any = None
    version: tuple[Any, Any] = (None, None)
    begins: bool = False
    bag: Any = None
    found: bool = False

    def begin(self) -> None:
        """Have the next bag of the bundle begin with the file."""
        self.begins, self.bag, self.found = True, None, False

    def open(self, manager: Any) -> bool:
        """Return whether its bundle is there, and the file in it one that Airflow parses."""
        from airflow.configuration import conf

        try:
            bundle = manager.get_bundle(self.bundle_name)
            bundle.initialize()
            if bundle.supports_versioning:
                current = bundle.get_current_version()
                self.version = getattr(current, "version", current), getattr(current, "data", None)
            safe_mode = conf.getboolean("core", "dag_discovery_safe_mode")
            if self.listed(dags.list_files(), bundle.path, safe_mode=safe_mode):
                self.bundle = bundle
        except Exception:
            # Airflow comes across it as well, where it needs this bundle, and has the words for it.
            return False
        return self.bundle is not None

    def listed(self, list_files: dags.ListFiles, folder: Any, **options: Any) -> list[str]:
        """
        Return the file as Airflow lists it, asking nothing about any other.

        :param list_files: Airflow's function for a folder
        :return: empty where Airflow would not list it, because of an .airflowignore or what it looks like
        """
        *folders, name = self.path.parts
        wanted = Path(folder, self.path)
        of_all = os.walk

        def walk(top: Any, *args: Any, **kwargs: Any) -> Iterator[tuple[str, list[str], list[str]]]:
            if os.fspath(top) != os.fspath(folder):
                yield from of_all(top, *args, **kwargs)
                return
            at = os.fspath(top)
            for inner in folders:
                inside = [inner]
                yield at, inside, []
                # Airflow has taken out what an .airflowignore names.
                if not inside:
                    return
                at = os.path.join(at, inner)
            yield at, [], [name]

        with replaced(os, "walk", walk):
            return [file for file in list_files(folder, **options) if Path(file) == wanted]

    def files(self, list_files: dags.ListFiles, folder: Any, **options: Any) -> Iterator[str]:
        """Yield what a bag is filled from: the file, and all others where that does not have the DAG."""
        first = self.listed(list_files, folder, **options)
        yield from first
        self.found = self.dag_id in self.bag.dags
        if not self.found:
            yield from (file for file in list_files(folder, **options) if file not in first)

    def bundles(self, manager: Any, in_order: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
        """Yield the bundles in which Airflow looks for the DAG one after the other: the DAG's own first."""
        if not self.open(manager):
            yield from in_order(manager)
            return
        # It has just been, which for a remote repository takes its time.
        self.bundle.initialize = lambda: None
        self.begin()
        yield self.bundle
        yield from (bundle for bundle in in_order(manager) if bundle.name != self.bundle_name)

    def fill(self, bag: Any, collect: Callable[[], Any]) -> Any:
        """Have Airflow fill a bag, beginning with the file if this is the bag for that."""
        if not self.begins or not dags.is_of_bundle(bag, self.bundle):
            return collect()
        self.begins, self.bag = False, bag
        with dags.listed_once_by(self.files):
            return collect()

    def write(
        self, bag: Any, write: Callable[..., Any], bundle_name: str, bundle_version: Any, **more: Any
    ) -> Any:
        """Have Airflow write the DAG to its database, and nothing else of the bag in which it was found."""
        if bundle_version is None:
            # Without it later runs would no longer be of the version that the DAG processor has stored.
            bundle_version, data = self.version
            more.update({"version_data": data} if data is not None else {})
        with replaced(bag, "dags", {self.dag_id: bag.dags[self.dag_id]}):
            return write(bag, bundle_name, bundle_version, **more)


def parse_its_file() -> None:
    """
    Have commands that ask for one DAG do so, until that is taken back; another Airflow stays as it is.

    What they call is not wrapped, but what that calls: a traceback of theirs stays what it is.
    """
    if not _is_known():
        return
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.sdk.definitions.dag import DAG

    module: Any = dags.dagbag
    owner: Any = DagBundlesManager
    in_order, collect = owner.get_all_dag_bundles, module.DagBag.collect_dags
    looks_up, tests = inspect.unwrap(dags.lookup()).__code__, inspect.unwrap(DAG.test).__code__
    last: Search | None = None

    @functools.wraps(in_order)
    def get_all_dag_bundles(manager: Any) -> Iterable[Any]:
        nonlocal last
        caller = sys._getframe(1)
        if caller.f_code is looks_up:
            last = search_for(*(caller.f_locals[name] for name in PARAMETERS))
            if last is not None:
                return last.bundles(manager, in_order)
        elif caller.f_code is tests and last and last.found and caller.f_locals["self"].dag_id == last.dag_id:
            # It fills one more bag from the bundle of its DAG, and writes that.
            last.begin()
        found: Iterable[Any] = in_order(manager)
        return found

    @functools.wraps(collect)
    def collect_dags(bag: Any, *args: Any, **kwargs: Any) -> Any:
        fill = functools.partial(collect, bag, *args, **kwargs)
        return last.fill(bag, fill) if last else fill()

    patch(owner, "get_all_dag_bundles", get_all_dag_bundles)
    patch(module.DagBag, "collect_dags", collect_dags)
    if (write := dags.WRITES_PARSED) is None:
        return

    @functools.wraps(write)
    def sync_bag_to_db(bag: Any, *args: Any, **kwargs: Any) -> Any:
        if last is None or not last.found or bag is not last.bag:
            return write(bag, *args, **kwargs)
        return last.write(bag, write, *args, **kwargs)

    patch(module, write.__name__, sync_bag_to_db)


def search_for(bundle_names: Any, dag_id: str, dagfile_path: Any) -> Search | None:
    """Return the search for a DAG; None where a client chose the place, or the database names none."""
    if bundle_names or dagfile_path:
        return None
    try:
        file = file_of(dag_id)
    except Exception:
        # Airflow finds out what it is, a database that is away included.
        return None
    path = PurePosixPath(file[1] if file else "")
    if file is None or path.is_absolute() or not path.parts or ".." in path.parts:
        return None
    return Search(dag_id, file[0], path)


def _is_known() -> bool:
    """Return whether this Airflow looks for a DAG in the way that is changed here, and not so already."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    return (
        set(PARAMETERS) <= set(inspect.signature(dags.lookup()).parameters)
        and hasattr(dags.dagbag, dags.LISTS_FILES)
        and hasattr(dags.dagbag.DagBag, "collect_dags")
        and not hasattr(DagBundlesManager.get_all_dag_bundles, "__wrapped__")
    )
