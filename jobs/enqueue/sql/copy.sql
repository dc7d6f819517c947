-- Copy: insert new jobs without keys.
COPY jobs_job (kind_id, group_name, payload, priority, key, run_at, max_attempts) FROM STDIN;
