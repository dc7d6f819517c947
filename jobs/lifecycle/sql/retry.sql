-- Retry: failed and cancelled jobs go back to pending with all their attempts before them.
WITH target AS (
    SELECT id, status, attempt FROM jobs_job
    WHERE id = ANY (%(ids)s::bigint[]) AND status = ANY (%(from)s::text[])
    ORDER BY id
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_job j
    SET status = 'pending', uncounted = j.attempt, run_at = statement_timestamp(), finished_at = NULL,
        finished_by_id = NULL, claimed_at = NULL, started_at = NULL, heartbeat_at = NULL, progress = NULL,
        progress_note = '', result = NULL, error = ''
    FROM target t
    WHERE j.id = t.id AND j.status = t.status
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, j.kind_id AS kind, j.run_at
), event AS (
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, actor, by, reason, at, detail)
    SELECT id, attempt, 'retry', previous_status, status, %(actor)s, %(by)s, %(reason)s, statement_timestamp(), '{}'
    FROM changed
)
SELECT c.id, c.attempt, c.previous_status, c.status, NULL::bigint AS bot, NULL::text AS bot_name, c.kind,
       c.run_at <= statement_timestamp() AS due, NULL::double precision AS held_for
FROM changed c
ORDER BY c.id;
