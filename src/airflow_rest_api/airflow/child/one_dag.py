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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from airflow_rest_api.airflow.dag_processor import file_of

CLI = "airflow.utils.cli"
HOLDERS = (CLI, "airflow.cli.commands.dag_command", "airflow.cli.commands.task_command")
"""The modules of Airflow that have `get_bagged_dag`, each under a name of its own."""

PARAMETERS = ["bundle_names", "dag_id", "dagfile_path"]
"""Those of the `get_bagged_dag` that is known here."""


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
        from airflow.dag_processing import dagbag

        module: Any = dagbag
        try:
            bundle = manager.get_bundle(self.bundle_name)
            bundle.initialize()
            if bundle.supports_versioning:
                current = bundle.get_current_version()
                self.version = getattr(current, "version", current), getattr(current, "data", None)
            safe_mode = conf.getboolean("core", "dag_discovery_safe_mode")
            if self.listed(module.get_importer_registry(), bundle.path, safe_mode=safe_mode):
                self.bundle = bundle
        except Exception:
            # Airflow comes across it as well, where it needs this bundle, and has the words for it.
            return False
        return self.bundle is not None

    def listed(self, registry: Any, folder: Any, **options: Any) -> list[str]:
        """
        Return the file as Airflow lists it, asking nothing about any other.

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
            return [file for file in registry.list_dag_files(folder, **options) if Path(file) == wanted]

    def files(self, registry: Any, folder: Any, **options: Any) -> Iterator[str]:
        """Yield what a bag is filled from: the file, and all others where that does not have the DAG."""
        first = self.listed(registry, folder, **options)
        yield from first
        self.found = self.dag_id in self.bag.dags
        if not self.found:
            yield from (file for file in registry.list_dag_files(folder, **options) if file not in first)

    @contextmanager
    def bundle_first(self) -> Iterator[None]:
        """Have Airflow go through the bundles as it does, but begin with that of the DAG."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        owner: Any = DagBundlesManager
        in_order = owner.get_all_dag_bundles

        def get_all_dag_bundles(manager: Any) -> Iterator[Any]:
            owner.get_all_dag_bundles = in_order
            if not self.open(manager):
                yield from in_order(manager)
                return
            # It has just been, which for a remote repository takes its time.
            self.bundle.initialize = lambda: None
            self.begin()
            yield self.bundle
            yield from (bundle for bundle in in_order(manager) if bundle.name != self.bundle_name)

        with replaced(owner, "get_all_dag_bundles", get_all_dag_bundles):
            yield

    @contextmanager
    def file_first(self) -> Iterator[None]:
        """Have the bag begin with the file, and nothing but the DAG written where it was found there."""
        from airflow.dag_processing import dagbag

        module: Any = dagbag
        collect, write = module.DagBag.collect_dags, module.sync_bag_to_db

        @functools.wraps(collect)
        def collect_dags(bag: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.begins or bag.bundle_name != self.bundle_name:
                return collect(bag, *args, **kwargs)
            self.begins, self.bag = False, bag
            get_registry = module.get_importer_registry

            def get_once() -> Any:
                # What is asked for later is the importer of a file.
                module.get_importer_registry = get_registry
                return SimpleNamespace(list_dag_files=functools.partial(self.files, get_registry()))

            with replaced(module, "get_importer_registry", get_once):
                return collect(bag, *args, **kwargs)

        @functools.wraps(write)
        def sync_bag_to_db(bag: Any, name: str, version: Any, **kwargs: Any) -> Any:
            if bag is not self.bag or not self.found:
                return write(bag, name, version, **kwargs)
            if version is None:
                # Without it later runs would no longer be of the version that the DAG processor has stored.
                version, data = self.version
                kwargs.update({"version_data": data} if data is not None else {})
            with replaced(bag, "dags", {self.dag_id: bag.dags[self.dag_id]}):
                return write(bag, name, version, **kwargs)

        bags = replaced(module.DagBag, "collect_dags", collect_dags)
        with bags, replaced(module, "sync_bag_to_db", sync_bag_to_db):
            yield


def parse_its_file() -> None:
    """Have a command that asks for one DAG do so; where this Airflow is another one, it stays as it is."""
    from airflow.sdk.definitions.dag import DAG
    from airflow.utils import cli

    airflows: Any = getattr(cli, "get_bagged_dag", None)
    if not _is_known(airflows):
        return
    searches: dict[str, Search] = {}

    @functools.wraps(airflows)
    def get_bagged_dag(bundle_names: Any, dag_id: str, dagfile_path: str | None = None) -> Any:
        search = None if bundle_names or dagfile_path else search_for(dag_id)
        if search is None:
            return airflows(bundle_names, dag_id, dagfile_path)
        with search.bundle_first(), search.file_first():
            dag = airflows(bundle_names, dag_id, dagfile_path)
        if search.found:
            searches[dag_id] = search
        return dag

    owner: Any = DAG
    test_of_dag = owner.test

    @functools.wraps(test_of_dag)
    def test(dag: Any, *args: Any, **kwargs: Any) -> Any:
        search = searches.get(dag.dag_id)
        if search is None:
            return test_of_dag(dag, *args, **kwargs)
        # It fills one more bag from the bundle, and writes that.
        search.begin()
        with search.file_first():
            return test_of_dag(dag, *args, **kwargs)

    owner.test = test
    for name in HOLDERS:
        # A module that is imported later takes it from there.
        module: Any = sys.modules.get(name)
        if getattr(module, "get_bagged_dag", None) is airflows:
            module.get_bagged_dag = get_bagged_dag


def search_for(dag_id: str) -> Search | None:
    """Return the search for a DAG; None where the database names no file inside a bundle for it."""
    try:
        file = file_of(dag_id)
    except Exception:
        # Airflow finds out what it is, a database that is away included.
        return None
    if file is None:
        return None
    bundle_name, path = file[0], PurePosixPath(file[1])
    if path.is_absolute() or not path.parts or ".." in path.parts:
        return None
    return Search(dag_id, bundle_name, path)


def _is_known(get_bagged_dag: Any) -> bool:
    """Return whether an Airflow looks for a DAG in the way that is changed here, and not so already."""
    try:
        from airflow.dag_processing import dagbag
    except ImportError:
        return False
    module: Any = dagbag
    return (
        get_bagged_dag is not None
        and not hasattr(get_bagged_dag, "__wrapped__")
        and list(inspect.signature(get_bagged_dag).parameters) == PARAMETERS
        and all(hasattr(module, name) for name in ("BundleDagBag", "get_importer_registry", "sync_bag_to_db"))
        and hasattr(module.DagBag, "collect_dags")
    )


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have an attribute be another for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
