-- Copy incoming: new jobs, into the table from which they are added.
COPY pg_temp.incoming (kind, payload, priority, key, run_at, max_attempts) FROM STDIN;
