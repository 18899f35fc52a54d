#!/bin/sh
# Deploy a DAG file, trigger its DAG, and wait until the run has come to its end.
#
#     URL=http://localhost:8080 TOKEN=... examples/deploy_and_run.sh my_dag.py my_dag
#
# Needs curl 7.76 or later. The exit code says whether the run succeeded.
set -eu

file=$1
dag_id=$2
run_id="deployed_$(date +%s)_$$"

# The token goes to curl through a pipe: on its command line all users of the machine could read it.
call() {
    printf 'header = "Authorization: Bearer %s"\n' "$TOKEN" |
        curl --config - --silent --show-error --fail-with-body --max-time 300 "$@"
}

api="$URL/admin/rest_api/api"

# Checked, put in place, parsed by the DAG processor, resumed: when this returns, the DAG can be triggered.
call -F dag_file=@"$file" -F force=on -F unpause=on -F wait=on "$api?api=deploy_dag"
echo

call -G -d api=trigger_dag --data-urlencode "dag_id=$dag_id" --data-urlencode "run_id=$run_id" "$api"
echo

tries=300
while [ "$tries" -gt 0 ]; do
    answer=$(call -G -d api=dag_state --data-urlencode "dag_id=$dag_id" \
        --data-urlencode "execution_date=$run_id" "$api")
    # The state alone: what follows it, such as warnings, may have any word in it.
    case $(printf %s "$answer" | tr -d ' ') in
        *'"stdout":"success'*) echo "$dag_id: $run_id succeeded"; exit 0 ;;
        *'"stdout":"failed'*) echo "$dag_id: $run_id failed" >&2; exit 1 ;;
    esac
    tries=$((tries - 1))
    sleep 1
done
echo "$dag_id: $run_id has not come to its end" >&2
exit 1
