#!/bin/sh
# Deploy a folder of DAGs, and wait until Airflow has parsed them.
#
#     AIRFLOW_REST_URL=https://airflow.example.org AIRFLOW_REST_TOKEN=… examples/ci/deploy.sh dags team_a
#
# Fails on import errors and on DAGs that other files define, and then nothing has changed; each is a line with its
# file and line, on GitHub an annotation. Needs airflow-rest: pip install dist/airflow_rest_api_client-*.whl
set -eu

folder=${1:?"usage: deploy.sh FOLDER [FOLDER OF THE BUNDLE]"}
below=${2:-}

format=text
if [ "${GITHUB_ACTIONS:-}" = true ]; then
    format=github
fi

set -- "$folder" --overwrite --format "$format"
if [ -n "$below" ]; then
    set -- "$@" --folder "$below"
fi
exec airflow-rest deploy "$@"
