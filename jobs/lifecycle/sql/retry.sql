-- Retry: make failed and cancelled jobs pending, with all their attempts. Of several that take the same key again the
-- newest, and none whose key another job has.
WITH wanted AS (
    SELECT j.id, j.status, j.kind_id, j.key, {takes_key} AS takes_key
    FROM jobs_job j
    WHERE j.id = ANY (%(ids)s::bigint[]) AND j.status = ANY (%(from)s::text[])
    ORDER BY j.id
    FOR NO KEY UPDATE
), target AS (
    SELECT w.id, w.status, 'pending' AS to_status
    FROM (SELECT *, max(id) OVER (PARTITION BY kind_id, key, takes_key) AS newest FROM wanted) AS w
    WHERE NOT w.takes_key
       OR (w.id = w.newest
           -- Not EXISTS, which beside OR may be answered by a hash table of all jobs.
           AND (SELECT true FROM jobs_job j
                WHERE j.kind_id = w.kind_id AND j.key = w.key AND {holds_key}
                LIMIT 1) IS NULL)
), changed AS (
    UPDATE jobs_job j
    SET status = t.to_status, uncounted = {attempt_number}, run_at = statement_timestamp(), finished_by_id = NULL,
        result = NULL, error = '', not_for = NULL, not_for_until = NULL,
        start_by = NULL, deferrals = 0, gated = k.limited OR j.group_name <> '',
        {attempt_cleared}
    FROM target t, jobs_jobkind k
    WHERE j.id = t.id AND j.status = t.status AND k.name = j.kind_id
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for
), happened AS (
    SELECT c.*, 'retry' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason, '{}'::jsonb AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
