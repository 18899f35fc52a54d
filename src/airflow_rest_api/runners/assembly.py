"""What API servers and runners are both put together from, as the settings say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.child import MODULES as SET_RIGHT
from airflow_rest_api.airflow.installation import FernetCipher
from airflow_rest_api.dag_files.check import CheckLimits
from airflow_rest_api.dag_files.child import MODULES as DAG_FILES
from airflow_rest_api.dag_files.deployment import DagFiles
from airflow_rest_api.dag_files.history import History
from airflow_rest_api.dag_files.upload import Bounds
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Limits
from airflow_rest_api.legacy.child import MODULES as LEGACY
from airflow_rest_api.loop_share import LoopShare
from airflow_rest_api.operations.dispatch import Dispatcher, QueueLimits
from airflow_rest_api.operations.service import Operations
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import NoCipher
from airflow_rest_api.runners import broker
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.services.child_start import MODULE as SERVICES
from airflow_rest_api.services.local import Local
from airflow_rest_api.services.service import Services
from airflow_rest_api.services.store import ServiceStore
from airflow_rest_api.settings import OPTIONS, SECTION, Settings
from airflow_rest_api.storage.database import Database, own_engine

log = logging.getLogger(__name__)


def warn_of_unknown_options() -> None:
    """Name in the log what is set in our section and is no option: misspelled, it switches nothing off."""
    secrets = [option.name for option in OPTIONS if option.secret]
    known = [option.name for option in OPTIONS]
    known += [f"{name}_{how}" for name in secrets for how in ("cmd", "secret")]
    for name in installation.names_set(SECTION):
        if name not in known:
            nearest = get_close_matches(name.lower(), known, 1)
            hint = f"; is {nearest[0]} meant?" if nearest else ""
            log.warning("[%s] %s is no option, and has no effect%s", SECTION, name, hint)


def limits(settings: Settings) -> Limits:
    """Return what the settings say about the engine."""
    return Limits(
        parallelism=settings.parallelism,
        share=settings.running_per_user,
        queue=settings.queue_size,
        spares=settings.spare_children,
        residents=settings.resident_children,
        grace=settings.cancel_grace,
        memory=settings.memory_limit or None,
        columns=settings.columns,
        preload=(*SET_RIGHT, *LEGACY, *DAG_FILES, SERVICES),
        fork=settings.fork,
    )


def database(settings: Settings) -> Database:
    """Return the database of our tables; nothing is opened before its first use."""
    address = settings.operations_database
    return Database((lambda: own_engine(address)) if address else installation.database_engine)


def store(settings: Settings, tables: Database) -> Store:
    """Return what keeps operations."""
    return Store(tables, cipher=FernetCipher() if settings.keep_revealed == "encrypted" else NoCipher())


def dispatcher(settings: Settings, kept: Store, audit: Audit) -> Dispatcher:
    """Return what sends operations to runners."""
    bounds = QueueLimits(settings.queue_size, settings.queue_per_user, settings.command_timeout or None)
    publish = broker.Publisher(settings) if broker.address(settings) else None
    return Dispatcher(kept, audit, publish, bounds)


def operations(
    settings: Settings,
    engine: Engine,
    kept: Store,
    sends: Dispatcher,
    runner: Mapping[str, Any] | None = None,
    share: LoopShare | None = None,
) -> Operations:
    """Return the operations of this process."""
    return Operations(
        engine,
        kept,
        command_timeout=settings.command_timeout or None,
        output_limit=settings.output_limit,
        file_limit=settings.max_upload,
        queue_per_user=settings.queue_per_user,
        dispatcher=sends,
        runner=runner,
        share=share,
    )


def dag_files(settings: Settings, tables: Database) -> DagFiles:
    """Return what deploys DAG files on this host."""
    return DagFiles(
        History(tables, settings.dag_versions_kept),
        Bounds(settings.dag_files_count, settings.dag_files_size),
        CheckLimits(settings.dag_check_timeout, settings.dag_check_memory),
    )


def services(settings: Settings, tables: Database, started: Operations) -> Services:
    """Return the components, with what looks after those of this host."""
    rows = ServiceStore(tables)
    local = Local(rows, started, grace=settings.service_grace, kept=settings.services_kept)
    return Services(rows, local, started)
