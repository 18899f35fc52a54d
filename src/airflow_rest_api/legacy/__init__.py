"""The contract of the Airflow 1.x plugin: 26 endpoints behind one URL, on the commands of today's Airflow."""
