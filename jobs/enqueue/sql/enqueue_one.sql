-- Enqueue one: insert a new job and return all of it. No row: another job has its key, or its kind does not exist, or
-- has a bound. `kind` is locked against deletion, as by `kinds.sql`.
WITH k AS MATERIALIZED (
    SELECT name, max_attempts, drop_after, limited FROM jobs_jobkind
    WHERE name = %(kind)s AND max_pending IS NULL FOR KEY SHARE
)
INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, max_attempts, unique_mode, start_by, run_within,
                      heartbeat_within, backoff, group_name, gated)
SELECT k.name, %(payload)s::jsonb, %(priority)s, {due}, %(key)s, COALESCE(%(max_attempts)s, k.max_attempts), %(unique)s,
       {start_by}, {own_times}, %(group)s, k.limited OR %(group)s <> ''
FROM k
CROSS JOIN (
    SELECT %(run_at)s::timestamptz AS run_at, %(delay)s::double precision AS delay,
           %(start_by)s::timestamptz AS start_by,
           %(run_within)s::double precision AS run_within, %(heartbeat_within)s::double precision AS heartbeat_within,
           %(backoff)s::double precision AS backoff
) AS w
ON CONFLICT DO NOTHING
RETURNING *;
