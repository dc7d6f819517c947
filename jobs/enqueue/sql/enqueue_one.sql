-- Enqueue one: insert a new job and return all of it. No row: another job has its key, or its kind does not, or has a bound.
-- `kind` is locked against deletion, as by `kinds.sql`.
WITH kind AS MATERIALIZED (
    SELECT name, max_attempts FROM jobs_jobkind WHERE name = %(kind)s AND max_pending IS NULL FOR KEY SHARE
)
INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, max_attempts, unique_mode)
SELECT kind.name, %(payload)s::jsonb, %(priority)s, COALESCE(%(run_at)s, statement_timestamp()), %(key)s,
       COALESCE(%(max_attempts)s, kind.max_attempts), %(unique)s
FROM kind
ON CONFLICT DO NOTHING
RETURNING *;
