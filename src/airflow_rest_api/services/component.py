"""A component: Airflow's own command line, as the user who started it, and no secret for all to see."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from airflow_rest_api.airflow import event_log
from airflow_rest_api.airflow.child.setup import act_as, run_airflow


def main(letter: int, name: str, *shown: str) -> None:
    """
    Run the command line that is read from a descriptor.

    :param letter: of a JSON object: `argv`, and the `user` whom Airflow's event log is to name, or None
    :param name: of the program, for the list of processes
    :param shown: `argv` without its secrets, for that list and for Airflow's own records
    """
    with os.fdopen(letter) as file:
        order = json.load(file)
    script = Path(sys.executable).with_name(name)
    sys.argv = [str(script) if script.is_file() else name, *shown]
    if order["user"] is not None:
        act_as(order["user"])
    event_log.shorten_command_rows()
    run_airflow(order["argv"])
