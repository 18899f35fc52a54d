"""A component with a secret on its command line, which the list of processes must not show."""

from __future__ import annotations

import json
import os
import sys

from airflow_rest_api.engine.child import run_airflow


def main(letter: int, *shown: str) -> None:
    """
    Run the command line that is read from a descriptor.

    :param shown: the same without its secrets, for Airflow's own records
    """
    with os.fdopen(letter) as file:
        argv = json.load(file)
    sys.argv = ["airflow", *shown]
    run_airflow(argv)
