-- Enqueue incoming: insert the new jobs on these pages; skip a job whose key exists for its kind.
INSERT INTO jobs_job (id, kind_id, payload, priority, run_at, key, max_attempts, group_name, gated)
SELECT w.id, w.kind, w.payload, w.priority, COALESCE(w.run_at, statement_timestamp()), w.key,
       COALESCE(w.max_attempts, k.max_attempts), w.group_name, k.limited OR w.group_name <> ''
FROM pg_temp.incoming w JOIN jobs_jobkind k ON k.name = w.kind
WHERE w.ctid >= format('(%%s,0)', %(first)s)::tid AND w.ctid < format('(%%s,0)', %(end)s)::tid
-- A small set by key, as in `enqueue.sql`, against deadlocks; a large set by id: in any other order the pages of each
-- index are written at random, which takes twice as long. Of two jobs with the same key the first is inserted.
ORDER BY CASE WHEN %(by_key)s THEN w.kind END, CASE WHEN %(by_key)s THEN w.key END, w.id
ON CONFLICT (kind_id, key) WHERE key IS NOT NULL DO NOTHING;
