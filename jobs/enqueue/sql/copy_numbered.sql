-- Copy numbered: insert new jobs without keys under reserved ids.
COPY jobs_job (id, kind_id, group_name, payload, priority, key, run_at, max_attempts) FROM STDIN;
