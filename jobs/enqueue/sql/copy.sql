-- Copy: new jobs that have no keys, straight into their table.
COPY jobs_job (kind_id, payload, priority, key, run_at, max_attempts) FROM STDIN;
