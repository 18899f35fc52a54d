"""All that works with the Airflow that runs us: users, permissions, bundles, parsing, a child's start."""
