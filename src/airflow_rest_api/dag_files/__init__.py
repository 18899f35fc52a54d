"""DAG files: deployed, checked, refreshed, rolled back."""
