-- Copy incoming: write new jobs to the temporary table.
COPY pg_temp.incoming (kind, payload, priority, options, run_at, max_attempts) FROM STDIN;
