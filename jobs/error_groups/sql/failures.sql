-- Failures: the attempts that ended with an error from one moment to another, by kind, by what their errors are like,
-- by hour and by who had them.
WITH ended AS MATERIALIZED (
    SELECT j.kind_id AS kind, e.job_id, e.at, e.bot_id, COALESCE(e.detail->>'instance', '') AS instance,
           COALESCE(NULLIF(e.detail->>'error', ''), e.reason) AS error
    FROM jobs_jobevent e
    -- LIMIT, so that each job is found by its key, and PostgreSQL never considers reading them all.
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('expire', 'fail') AND e.at >= %(since)s AND e.at < %(until)s
), alike AS MATERIALIZED (
    SELECT kind, jobs_error_words(error) AS words, date_trunc('hour', at, 'UTC') AS hour, bot_id, instance,
           count(*) AS n, min(at) AS first_at, max(at) AS last_at, max(job_id) AS last_job
    FROM ended
    WHERE error <> ''
    GROUP BY 1, 2, 3, 4, 5
)
SELECT a.kind, a.words, md5(a.words) AS fingerprint, a.hour, COALESCE(b.name, '') AS bot,
       COALESCE(NULLIF(i.version, ''), b.version, '') AS version, a.n, a.first_at, a.last_at, a.last_job
FROM alike a
LEFT JOIN bots_bot b ON b.id = a.bot_id
LEFT JOIN bots_instance i ON i.bot_id = a.bot_id AND i.name = a.instance
ORDER BY a.kind, a.words, a.hour, b.name;
