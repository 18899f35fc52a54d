"""
The name of the distribution as a module; the plugin itself is `airflow_rest_api`.

With `[core] load_examples` Airflow imports each installed provider by the name of its distribution, to look
for example DAGs in it, and logs an error where there is no such module: see
`_add_provider_example_dags_to_bundle` in `airflow.dag_processing.bundles.manager`.
"""
