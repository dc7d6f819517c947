-- Release, expire, fail, cancel: end leases without success (and, for cancel, pending jobs), each with its event.
WITH wanted AS (
    SELECT *
    FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS w(id bigint, attempt integer, bot bigint, reason text, error text, retry boolean)
), target AS (
    SELECT j.id, j.status, j.attempt, j.claimed_by_id, j.claimed_at, j.started_at, j.heartbeat_at, j.progress,
           j.kind_id, w.reason, w.error, NULL::interval AS delay,
           -- `to`: the one state to which the verb leads, or NULL where that depends on the attempts left.
           COALESCE(%(to)s, {again}) AS to_status, %(uncounts)s AS uncounts
    FROM wanted w
    JOIN jobs_job j ON j.id = w.id
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
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, t.claimed_by_id AS bot, t.kind_id AS kind, j.run_at,
              EXTRACT(epoch FROM statement_timestamp() - t.claimed_at)::double precision AS held_for,
              t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.reason, t.error
), happened AS (
    SELECT c.*, %(verb)s AS verb, %(actor)s AS actor, %(by)s AS by,
           {lease_detail} AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
