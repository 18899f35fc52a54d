"""Airflow 3: which DAG bundles are configured, without importing their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_rest_api.errors import BadConfiguration

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
EXAMPLES = "example_dags"
"""What `airflow.dag_processing.bundles.manager` calls Airflow's own examples."""


@dataclass(frozen=True)
class Configured:
    """
    A bundle as the configuration has it.

    :ivar classpath: the class of the bundle
    :ivar kwargs: what the class is made with
    """

    name: str
    classpath: str
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


def configured() -> list[Configured]:
    """
    Return the bundles of ``[dag_processor] dag_bundle_config_list``, and Airflow's examples where they are
    on.

    The same reading as that of `DagBundlesManager.parse_config`, which in addition imports each class: here
    the provider of a class may be missing. The examples of the providers are left out.

    :raises BadConfiguration: with the reason
    """
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        items: Any = conf.getjson("dag_processor", "dag_bundle_config_list") or []
        found = [Configured(item["name"], item["classpath"], item["kwargs"]) for item in items]
    except (AirflowConfigException, TypeError, KeyError) as error:
        raise BadConfiguration(f"[dag_processor] dag_bundle_config_list: {error}") from None
    if conf.getboolean("core", "load_examples"):
        found.append(Configured(EXAMPLES, LOCAL, {"path": _examples()}))
    return found


def folder(bundle: Configured) -> Path:
    """Return the folder of a bundle that is a local one."""
    from airflow import settings

    return Path(bundle.kwargs.get("path") or settings.DAGS_FOLDER)


def _examples() -> str:
    from importlib.util import find_spec

    spec = find_spec("airflow.example_dags")
    return next(iter(spec.submodule_search_locations or ()), "") if spec else ""
