-- Prioritise: jobs that have not ended get another place in the queue. One that has it already is left alone.
WITH target AS (
    SELECT id, status, attempt, priority FROM jobs_job
    WHERE id = ANY (%(ids)s::bigint[]) AND status = ANY (%(from)s::text[]) AND priority <> %(priority)s
    ORDER BY id
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_job j
    SET priority = %(priority)s
    FROM target t
    -- Not `j.status = t.status`: a job that was claimed while we waited for its lock is changed all the same.
    WHERE j.id = t.id AND j.status = ANY (%(from)s::text[])
    RETURNING j.id, j.attempt, j.status, j.claimed_by_id AS bot, j.kind_id AS kind, j.run_at, t.priority AS before
), event AS (
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT id, attempt, 'prioritise', status, status, bot, %(actor)s, %(by)s, %(reason)s, statement_timestamp(),
           jsonb_build_object('from', before, 'to', %(priority)s)
    FROM changed
)
SELECT c.id, c.attempt, c.status AS previous_status, c.status, c.bot, b.name AS bot_name, c.kind,
       c.run_at <= statement_timestamp() AS due, NULL::double precision AS held_for
FROM changed c LEFT JOIN bots_bot b ON b.id = c.bot
ORDER BY c.id;
