-- Drop: cancel pending jobs that had to be begun by a moment that has passed: some of them, the oldest moment first.
WITH target AS (
    SELECT j.id, j.status, j.start_by, 'cancelled' AS to_status
    FROM jobs_job j
    WHERE j.status = 'pending' AND j.start_by IS NOT NULL AND j.start_by <= statement_timestamp()
    ORDER BY j.start_by
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
    UPDATE jobs_job j
    SET status = t.to_status,
        {attempt_cleared}
    FROM target t
    WHERE j.id = t.id AND j.status = t.status
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for, t.start_by
), happened AS (
    SELECT c.*, 'drop' AS verb, %(actor)s AS actor, %(by)s AS by,
           'it was to be begun by ' || jobs_moment(c.start_by) AS reason, '{}'::jsonb AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
