from __future__ import annotations

raise ValueError("an error in dag_of_theirs, the DAG that Airflow cannot make of this")
