-- Retry: make failed and cancelled jobs pending, with all their attempts.
WITH target AS (
    SELECT id, status, 'pending' AS to_status FROM jobs_job
    WHERE id = ANY (%(ids)s::bigint[]) AND status = ANY (%(from)s::text[])
    ORDER BY id
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_job j
    SET status = t.to_status, uncounted = {attempt_number}, run_at = statement_timestamp(), finished_by_id = NULL,
        result = NULL, error = '', not_for = NULL, not_for_until = NULL,
        {attempt_cleared}
    FROM target t
    WHERE j.id = t.id AND j.status = t.status
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for
), happened AS (
    SELECT c.*, 'retry' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason, '{}'::jsonb AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
