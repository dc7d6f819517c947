-- Accept: a pending job takes the result that its last bot reported after the lease had ended.
WITH target AS (
    SELECT j.id, j.status
    FROM jobs_job j
    WHERE j.id = ANY (%(ids)s::bigint[]) AND j.status = 'pending'
    ORDER BY j.id
    FOR NO KEY UPDATE
), late AS (
    SELECT DISTINCT ON (e.job_id) e.job_id, e.bot_id, e.attempt, e.detail -> 'result' AS result
    FROM jobs_jobevent e JOIN target t ON t.id = e.job_id
    WHERE e.verb = 'late' AND e.detail ->> 'outcome' = 'complete'
    ORDER BY e.job_id, e.attempt DESC
), changed AS (
    UPDATE jobs_job j
    SET status = 'succeeded', result = l.result, error = '', finished_at = statement_timestamp(),
        finished_by_id = l.bot_id
    FROM late l
    WHERE j.id = l.job_id AND j.status = 'pending'
    RETURNING j.id, l.attempt, j.status, l.bot_id AS bot, j.kind_id AS kind, j.run_at
), event AS (
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT id, attempt, 'accept', 'pending', status, bot, %(actor)s, %(by)s, %(reason)s, statement_timestamp(), '{}'
    FROM changed
)
SELECT c.id, c.attempt, 'pending' AS previous_status, c.status, c.bot, b.name AS bot_name, c.kind,
       c.run_at <= statement_timestamp() AS due, NULL::double precision AS held_for
FROM changed c LEFT JOIN bots_bot b ON b.id = c.bot
ORDER BY c.id;
