-- Release, expire, fail, cancel: end leases (and, for cancel, pending jobs) other than well, each with its event.
WITH wanted AS (
    SELECT *
    FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS w(id bigint, attempt integer, bot bigint, reason text, error text, retry boolean, wait double precision)
), target AS (
    SELECT j.id, j.status, j.attempt, j.claimed_by_id, j.claimed_at, j.started_at, j.heartbeat_at, j.progress,
           j.kind_id, w.reason, w.error, k.backoff * w.wait AS delay,
           CASE
               WHEN %(verb)s = 'cancel' THEN 'cancelled'
               WHEN %(verb)s = 'release' THEN 'pending'
               ELSE {again}
           END AS to_status,
           CASE WHEN %(verb)s = 'release' THEN 1 ELSE 0 END AS uncounts
    FROM wanted w
    JOIN jobs_job j ON j.id = w.id
    JOIN jobs_jobkind k ON k.name = j.kind_id
    -- COALESCE hides the condition from the planner: where it believes that little is held, it would read all of that.
    WHERE COALESCE(j.status = ANY (%(from)s::text[]), false)
      AND (w.attempt IS NULL OR j.attempt = w.attempt)
      AND (w.bot IS NULL OR j.claimed_by_id = w.bot)
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
), changed AS (
    UPDATE jobs_job j
    SET {ended}
    FROM target t
    WHERE j.id = t.id AND j.status = t.status AND j.attempt = t.attempt
      AND j.claimed_by_id IS NOT DISTINCT FROM t.claimed_by_id
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, t.claimed_by_id AS bot, t.kind_id AS kind,
              t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.reason, t.error, j.run_at
), event AS (
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT c.id, c.attempt, %(verb)s, c.previous_status, c.status, c.bot, %(actor)s, %(by)s, c.reason,
           statement_timestamp(),
           {lease_detail}
    FROM changed c
)
SELECT c.id, c.attempt, c.previous_status, c.status, c.bot, b.name AS bot_name, c.kind,
       c.run_at <= statement_timestamp() AS due, EXTRACT(epoch FROM statement_timestamp() - c.claimed_at)::double precision AS held_for
FROM changed c LEFT JOIN bots_bot b ON b.id = c.bot
ORDER BY c.id;
