"""The Airflow that hosts us, one module for each of its major versions."""
