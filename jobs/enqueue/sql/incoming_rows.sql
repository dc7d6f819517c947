-- Incoming rows: these new jobs, as `enqueue.sql` takes them.
SELECT w.id AS incoming, w.kind, w.payload, w.priority, w.run_at, w.max_attempts, w.options
FROM pg_temp.incoming w
WHERE w.id = ANY (%(ids)s::bigint[])
ORDER BY w.id;
