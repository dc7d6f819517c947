-- Leases: how those ended that ended from one moment to another is added up, for each kind, and for each bot and kind.
WITH ended AS MATERIALIZED (
    SELECT date_bin('1 hour', finished_at, 'epoch') AS hour, date_trunc('day', finished_at, %(zone)s) AS day,
           kind_id AS kind, finished_by_id AS bot, 'succeeded' AS how, count(*) AS n
    FROM {finished_between}
    WHERE status = 'succeeded'
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT date_bin('1 hour', e.at, 'epoch'), date_trunc('day', e.at, %(zone)s), j.kind_id, e.bot_id,
           -- The same as `leases.SOURCES`.
           CASE WHEN e.verb = 'cancel' THEN 'cancelled'
                WHEN e.verb = 'expire' OR e.verb = 'fail' AND e.actor = 'sweep' THEN 'expired'
                WHEN e.verb = 'fail' THEN 'failed'
                WHEN e.actor = 'operator' THEN 'released'
                ELSE 'handed_back' END,
           count(*)
    FROM jobs_jobevent e
    -- LIMIT, so that each job is found by its key and PostgreSQL never thinks of reading them all.
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('release', 'expire', 'fail', 'cancel') AND e.at >= %(since)s AND e.at < %(until)s
      AND e.from_status IN ('claimed', 'processing')
    GROUP BY 1, 2, 3, 4, 5
), spans AS (
    SELECT 'hour' AS span, hour AS start, kind, 0::bigint AS bot, how, n FROM ended
    UNION ALL
    SELECT 'bot_hour', hour, kind, COALESCE(bot, 0), how, n FROM ended WHERE hour >= %(bot_hours_from)s
    UNION ALL
    SELECT 'bot_day', day, kind, COALESCE(bot, 0), how, n FROM ended
)
INSERT INTO jobs_leasetally AS t (span, start, kind, bot, succeeded, failed, cancelled, released, handed_back, expired)
SELECT span, start, kind, bot,
       COALESCE(sum(n) FILTER (WHERE how = 'succeeded'), 0), COALESCE(sum(n) FILTER (WHERE how = 'failed'), 0),
       COALESCE(sum(n) FILTER (WHERE how = 'cancelled'), 0), COALESCE(sum(n) FILTER (WHERE how = 'released'), 0),
       COALESCE(sum(n) FILTER (WHERE how = 'handed_back'), 0), COALESCE(sum(n) FILTER (WHERE how = 'expired'), 0)
FROM spans
GROUP BY span, start, kind, bot
ON CONFLICT (span, start, kind, bot) DO UPDATE
SET succeeded = t.succeeded + EXCLUDED.succeeded,
    failed = t.failed + EXCLUDED.failed,
    cancelled = t.cancelled + EXCLUDED.cancelled,
    released = t.released + EXCLUDED.released,
    handed_back = t.handed_back + EXCLUDED.handed_back,
    expired = t.expired + EXCLUDED.expired;
