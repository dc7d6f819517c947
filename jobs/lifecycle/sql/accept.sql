-- Accept: complete a pending job with the result that its last bot reported after the lease had ended.
WITH target AS (
    SELECT j.id, j.status
    FROM jobs_job j
    WHERE j.id = ANY (%(ids)s::bigint[]) AND j.status = ANY (%(from)s::text[])
    ORDER BY j.id
    FOR NO KEY UPDATE
), late AS (
    SELECT DISTINCT ON (e.job_id) e.job_id, e.bot_id, e.attempt, e.detail -> 'result' AS result, t.status
    FROM jobs_jobevent e JOIN target t ON t.id = e.job_id
    WHERE e.verb = 'late' AND e.detail ->> 'outcome' = 'complete'
    ORDER BY e.job_id, e.attempt DESC
), changed AS (
    UPDATE jobs_job j
    SET status = 'succeeded', result = l.result, error = '', finished_at = statement_timestamp(),
        finished_by_id = l.bot_id
    FROM late l
    WHERE j.id = l.job_id AND j.status = l.status
    RETURNING j.id, l.attempt, l.status AS previous_status, j.status, l.bot_id AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for
), happened AS (
    SELECT c.*, 'accept' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason, '{}'::jsonb AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
