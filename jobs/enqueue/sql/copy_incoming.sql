-- Copy incoming: write new jobs to the temporary table.
COPY pg_temp.incoming (kind, group_name, payload, priority, key, run_at, max_attempts) FROM STDIN;
