"""The commands of the Airflow that runs us, and the checking of their arguments."""
