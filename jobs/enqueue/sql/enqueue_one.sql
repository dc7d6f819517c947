-- Enqueue one: insert a new job and return all of it. No row: its key exists, or its kind does not, or has a bound.
-- `kind` is locked against deletion, as by `kinds.sql`.
WITH kind AS MATERIALIZED (
    SELECT name, max_attempts, limited FROM jobs_jobkind WHERE name = %(kind)s AND max_pending IS NULL FOR KEY SHARE
)
INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, max_attempts, group_name, gated)
SELECT kind.name, %(payload)s::jsonb, %(priority)s, COALESCE(%(run_at)s, statement_timestamp()), %(key)s,
       COALESCE(%(max_attempts)s, kind.max_attempts), %(group)s, kind.limited OR %(group)s <> ''
FROM kind
ON CONFLICT (kind_id, key) WHERE key IS NOT NULL DO NOTHING
RETURNING *;
