-- Enqueue incoming: insert the new jobs on these pages; skip a job whose key another job of its kind has.
INSERT INTO jobs_job (id, kind_id, payload, priority, run_at, key, unique_mode, max_attempts, start_by, run_within,
                      heartbeat_within, backoff, group_name, gated)
SELECT w.id, w.kind, w.payload, w.priority, {due}, w.key, COALESCE(w."unique", 'always'),
       COALESCE(w.max_attempts, k.max_attempts), {start_by}, {own_times}, COALESCE(w."group", ''),
       k.limited OR w."group" IS NOT NULL
FROM (
    SELECT i.*, o.*
    FROM pg_temp.incoming i
    CROSS JOIN LATERAL jsonb_to_record(COALESCE(i.options, '{}'))
        AS o("unique" text, delay double precision, start_by timestamptz, run_within double precision,
             heartbeat_within double precision, backoff double precision, "group" text)
    WHERE i.ctid >= format('(%%s,0)', %(first)s)::tid AND i.ctid < format('(%%s,0)', %(end)s)::tid AND NOT i.superseded
) AS w
JOIN jobs_jobkind k ON k.name = w.kind
-- A small set by key, as in `enqueue.sql`, against deadlocks; a large set by id: in any other order the pages of each
-- index are written at random, which takes twice as long.
ORDER BY CASE WHEN %(by_key)s THEN w.kind END, CASE WHEN %(by_key)s THEN w.key END, w.id
ON CONFLICT DO NOTHING;
