/** What the server told with the page: root, airflow, login, version, airflow_version, user, header_token, token_storage, max_upload, queues (those that commands are placed on). */
export const facts = Object.freeze(JSON.parse(document.body.dataset.facts));

/** Whether Airflow shows the page inside its own, which keeps it from opening windows. */
export const framed = window.parent !== window;

/** Where the code of DAG authors runs, for a question: where commands are placed on queues, the rules say it. */
export const onHost = facts.queues.length ? "" : " on the API server's host";
