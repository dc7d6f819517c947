-- Enqueue incoming: the new jobs on these pages; one whose key its kind already has is left out.
INSERT INTO jobs_job (id, kind_id, payload, priority, run_at, key, max_attempts)
SELECT w.id, w.kind, w.payload, w.priority, COALESCE(w.run_at, statement_timestamp()), w.key,
       COALESCE(w.max_attempts, k.max_attempts)
FROM pg_temp.incoming w JOIN jobs_jobkind k ON k.name = w.kind
WHERE w.ctid >= format('(%%s,0)', %(first)s)::tid AND w.ctid < format('(%%s,0)', %(end)s)::tid
-- By key where they are few, as `enqueue.sql` does; by id where they are many: in any other order each index is
-- written all over the place, which takes twice as long. Of the same key twice the first is the job.
ORDER BY CASE WHEN %(by_key)s THEN w.kind END, CASE WHEN %(by_key)s THEN w.key END, w.id
ON CONFLICT (kind_id, key) WHERE key IS NOT NULL DO NOTHING;
