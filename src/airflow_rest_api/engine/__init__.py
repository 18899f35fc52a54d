"""Run one `airflow` command after another in warm, disposable processes."""
