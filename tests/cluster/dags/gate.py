"""
A file without DAGs: as long as the gate is there, commands wait where they parse it.

Airflow parses what has the words DAG and airflow in it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

gate = Path(f"{os.environ['CLUSTER_TRACE']}.gate")
if gate.exists():
    with gate.open("a") as file:
        file.write("waits\n")
while gate.exists():
    time.sleep(0.05)
