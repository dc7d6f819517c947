-- Copy numbered: new jobs that have no keys, straight into their table, under ids that are reserved for them.
COPY jobs_job (id, kind_id, payload, priority, key, run_at, max_attempts) FROM STDIN;
