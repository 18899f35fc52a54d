"""All that differs between the supported versions of Airflow, chosen once, by `version_compat`."""
