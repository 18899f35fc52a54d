"""All that touches the Airflow that runs us: its auth manager, tables, configuration and commands."""
