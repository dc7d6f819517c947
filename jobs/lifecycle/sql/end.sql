-- Release, expire, fail, cancel: end leases without success (and, for cancel, pending jobs), each with its event.
WITH wanted AS (
    SELECT *
    FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS w(id bigint, attempt integer, bot bigint, reason text, error text, retry boolean, probe boolean,
             others_first double precision)
), target AS (
    SELECT j.id, j.status, j.attempt, j.claimed_by_id, j.claimed_at, j.started_at, j.heartbeat_at, j.progress, j.instance,
           j.kind_id, w.reason, w.error, NULL::interval AS delay, w.probe, w.others_first,
           -- `to`: the one state to which the verb leads, or NULL where that depends on the attempts left.
           COALESCE(%(to)s, CASE WHEN w.probe AND w.retry THEN 'pending' ELSE {again} END) AS to_status,
           CASE WHEN w.probe THEN 1 ELSE %(uncounts)s END AS uncounts,
           CASE WHEN %(verb)s = 'expire' OR w.others_first IS NOT NULL THEN (
               SELECT i.id FROM bots_instance i
               WHERE i.bot_id = j.claimed_by_id AND i.name = ANY (ARRAY[j.instance, '']) ORDER BY i.name DESC LIMIT 1
           ) END AS suspect
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
    SET {ended},
        -- Under whom it expired, until that is judged, or was released; and how long another gets it first.
        not_for = CASE WHEN %(verb)s = 'expire' OR t.suspect IS NOT NULL THEN t.suspect ELSE j.not_for END,
        not_for_until = CASE WHEN %(verb)s <> 'expire' AND t.suspect IS NULL THEN j.not_for_until
                             WHEN t.suspect IS NOT NULL THEN statement_timestamp() + make_interval(secs => t.others_first)
                        END
    FROM target t
    WHERE j.id = t.id AND j.status = t.status AND j.attempt = t.attempt
      AND j.claimed_by_id IS NOT DISTINCT FROM t.claimed_by_id
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, t.claimed_by_id AS bot, t.kind_id AS kind, j.run_at,
              EXTRACT(epoch FROM statement_timestamp() - t.claimed_at)::double precision AS held_for,
              t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.instance, t.reason, t.error, t.probe
), happened AS (
    SELECT c.*, %(verb)s AS verb, %(actor)s AS actor, %(by)s AS by,
           {lease_detail} || jsonb_strip_nulls(jsonb_build_object('probe', c.probe)) AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
