"""Where the Airflow that hosts us keeps its things, and what it calls this machine."""

from __future__ import annotations

from dataclasses import dataclass


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
