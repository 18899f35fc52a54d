"""The Airflow that runs us: version, places, configuration, keys, DAG bundles, database and jobs."""

from __future__ import annotations

import functools
import hashlib
import hmac
import inspect
import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_rest_api.airflow.queries import values
from airflow_rest_api.errors import BadConfiguration, Undecryptable

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
EXAMPLES = "example_dags"
"""What `airflow.dag_processing.bundles.manager` calls Airflow's own examples."""

RECENT = timedelta(minutes=10)
"""For how long a job without a new heartbeat is still listed."""


def version() -> str:
    """Return the version of Airflow."""
    from airflow import __version__

    return str(__version__)


@dataclass(frozen=True)
class Places:
    """
    Folders of this machine.

    :ivar home: AIRFLOW_HOME
    :ivar logs: Airflow's base log folder
    :ivar hostname: what Airflow calls this machine in its tables
    """

    home: str
    logs: str
    hostname: str


def places() -> Places:
    """Return where things are; the first call imports Airflow's configuration."""
    from airflow.configuration import AIRFLOW_HOME, conf
    from airflow.utils.net import get_hostname

    hostname = str(get_hostname())  # type: ignore[no-untyped-call]
    return Places(str(AIRFLOW_HOME), str(conf.get("logging", "base_log_folder")), hostname)


def configuration_file() -> str:
    """Return the path of airflow.cfg; it need not exist."""
    from airflow.configuration import AIRFLOW_CONFIG

    return str(AIRFLOW_CONFIG)


def configured(section: str, option: str) -> str | None:
    """Return a value of Airflow's configuration, None where it has none."""
    from airflow.configuration import conf

    value: str | None = conf.get(section, option, fallback=None)
    return value


def read_provider_options() -> None:
    """
    Have Airflow know the options of its providers, and which of them are secrets that a command may give.

    Its own components begin with that. Before Airflow 3.2 nothing else does it.
    """
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()  # type: ignore[no-untyped-call]


def names_set(section: str) -> list[str]:
    """Return the names of the options set in a section: in airflow.cfg as written, or in the environment."""
    from airflow.configuration import conf

    prefix = f"AIRFLOW__{section.upper()}__"
    found = list(conf.options(section)) if conf.has_section(section) else []
    found += [name.removeprefix(prefix).lower() for name in os.environ if name.startswith(prefix)]
    return list(dict.fromkeys(found))


def hide_options(section: str, names: Collection[str]) -> None:
    """
    Have Airflow hide the values of options wherever it shows its configuration, in this process.

    Of an installed provider it knows which these are. Of a plugin in the plugins folder it does not, and
    ``GET /api/v2/config`` showed them to everybody who may read the configuration.
    """
    from airflow.configuration import conf

    name, ours = "sensitive_config_values", {(section, each) for each in names}
    kind: Any = type(conf)
    known = inspect.getattr_static(kind, name, None)
    if not isinstance(known, functools.cached_property):
        log.warning("This Airflow may show the secrets of [%s] with its configuration", section)
        return
    if ours <= getattr(conf, name):
        return

    # Airflow forgets the set where it reads the options of its providers, and makes it once more.
    def sensitive(self: Any) -> set[tuple[str, str]]:
        return set(known.func(self)) | ours

    hiding = functools.cached_property(sensitive)
    hiding.__set_name__(kind, name)
    setattr(kind, name, hiding)
    vars(conf).pop(name, None)


def load_models() -> None:
    """
    Import Airflow's models and connect them, for a process whose threads are about to ask for them.

    SQLAlchemy connects them at the first use of one, holding a lock, and `airflow.models.import_all_models`
    imports the rest meanwhile. A thread that imports one of the rest at that moment holds the lock of its
    module and waits for SQLAlchemy's, which waits for the module: both for ever.
    """
    from airflow.models import import_all_models
    from sqlalchemy.orm import configure_mappers

    import_all_models()  # type: ignore[no-untyped-call]
    configure_mappers()


_OF_CONNECTION = ("broker_use_ssl", "broker_transport_options")


def celery_options() -> dict[str, Any]:
    """
    Return what `[celery]` says about the connection to the broker, as the Celery provider reads it.

    Its certificates and its transport (``airflow.providers.celery.executors.default_celery``).
    """
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG as found

    return {name: found[name] for name in _OF_CONNECTION if found.get(name)}


def database_engine() -> Engine:
    """
    Return the engine of Airflow's metadata database in this process, with its pool.

    :raises RuntimeError: Airflow has none
    """
    from airflow import settings

    if settings.engine is None:
        raise RuntimeError("Airflow has no database in this process")
    return settings.engine


def derived(label: bytes) -> bytes:
    """
    Return a key of ours, the same on all API servers; a different label gives a different key.

    It is derived from the key with which Airflow signs.
    """
    from airflow.api_fastapi.auth.tokens import get_signing_args
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    arguments = get_signing_args()
    if private := arguments.get("private_key"):
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    else:
        secret = arguments["secret_key"].encode()
    return hmac.new(secret, label, hashlib.sha512).digest()


class FernetCipher:
    """
    Encrypts with the first key of `[core] fernet_key` and decrypts with any (``airflow.models.crypto``).

    Without a key Airflow keeps its secrets in clear. We keep none then.
    """

    def __init__(self) -> None:
        self._logged = False

    @property
    def available(self) -> bool:
        """Whether there is a key."""
        return self._fernet() is not None

    def encrypt(self, data: bytes) -> bytes:
        """Return bytes encrypted; raise RuntimeError where there is no key."""
        fernet = self._fernet()
        if fernet is None:
            raise RuntimeError("there is no Fernet key")
        return bytes(fernet.encrypt(data))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return the bytes of `encrypt`; raise Undecryptable."""
        from cryptography.fernet import InvalidToken

        fernet = self._fernet()
        if fernet is None:
            raise Undecryptable
        try:
            return bytes(fernet.decrypt(encrypted))
        except (InvalidToken, ValueError, TypeError):
            raise Undecryptable from None

    def _fernet(self) -> Any:
        from airflow.models.crypto import get_fernet

        try:
            fernet = get_fernet()
        except Exception as error:
            # A key that is none: Airflow logs the same of each of its connections.
            if not self._logged:
                self._logged = True
                log.error("What may show secrets is not kept: %s", error)
            return None
        return fernet if fernet.is_encrypted else None


@dataclass(frozen=True)
class BundleConfig:
    """
    A bundle as the configuration has it.

    :ivar classpath: the class of the bundle
    :ivar kwargs: what the class is made with
    """

    name: str
    classpath: str
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


def configured_bundles() -> list[BundleConfig]:
    """
    Return the bundles of ``[dag_processor] dag_bundle_config_list``, and the examples where these are on.

    The same reading as that of `DagBundlesManager.parse_config`, which in addition imports each class: here
    the provider of a class may be missing. The examples of the providers are left out.

    :raises BadConfiguration: with the reason
    """
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        items: Any = conf.getjson("dag_processor", "dag_bundle_config_list") or []
        found = [BundleConfig(item["name"], item["classpath"], item["kwargs"]) for item in items]
    except (AirflowConfigException, TypeError, KeyError) as error:
        raise BadConfiguration(f"[dag_processor] dag_bundle_config_list: {error}") from None
    if conf.getboolean("core", "load_examples"):
        found.append(BundleConfig(EXAMPLES, LOCAL, {"path": _examples()}))
    return found


def bundle_folder(bundle: BundleConfig) -> Path:
    """Return the folder of a bundle that is a local one."""
    from airflow import settings

    return Path(bundle.kwargs.get("path") or settings.DAGS_FOLDER)


def _examples() -> str:
    from importlib.util import find_spec

    spec = find_spec("airflow.example_dags")
    return next(iter(spec.submodule_search_locations or ()), "") if spec else ""


@dataclass(frozen=True)
class AirflowJob:
    """
    A job with a heartbeat of the last minutes.

    :ivar healthy: for Airflow, by the thresholds of its configuration
    """

    id: int
    type: str
    state: str | None
    hostname: str
    started_at: datetime | None
    latest_heartbeat: datetime | None
    healthy: bool


def running_jobs(types: Collection[str]) -> list[AirflowJob]:
    """Return the jobs of these types whose state is running and whose heartbeat is recent. Blocks."""
    from airflow.jobs.job import Job

    since = datetime.now(timezone.utc) - RECENT
    chosen = (
        select(Job)
        .where(Job.job_type.in_(types), Job.state == "running", Job.latest_heartbeat >= since)
        .order_by(Job.id)
    )
    return [
        AirflowJob(
            id=job.id,
            type=str(job.job_type),
            state=job.state,
            hostname=str(job.hostname or ""),
            started_at=job.start_date,
            latest_heartbeat=job.latest_heartbeat,
            healthy=bool(job.is_alive()),
        )
        for job in values(chosen)
    ]
