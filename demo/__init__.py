"""A real Airflow with the plugin, for `make run`, the tests and the benchmark."""
