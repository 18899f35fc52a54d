"""The benchmark: commands over REST against new processes and against Airflow's own REST API."""
