-- Meter: what ended from one moment to another is added to the counters of each kind. Successes are read from the jobs,
-- all else from the history: a job that failed may have been retried since.
WITH done AS MATERIALIZED (
    SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END AS kind, status,
           claimed_at IS NOT NULL AS leased,
           -- How many steps are shorter: the thresholds are turned round, so that each belongs to its own step.
           %(last)s - width_bucket(-w.waited, %(steps)s::double precision[]) AS wait_step,
           %(last)s - width_bucket(-w.ran, %(steps)s::double precision[]) AS run_step,
           count(*) AS n, sum(w.waited) AS waited, sum(w.ran) AS ran
    FROM {finished_between}
    CROSS JOIN LATERAL (
        SELECT GREATEST(EXTRACT(epoch FROM claimed_at - run_at), 0)::double precision AS waited,
               CASE WHEN status = 'succeeded'
                    THEN GREATEST(EXTRACT(epoch FROM finished_at - started_at), 0)::double precision END AS ran) w
    GROUP BY 1, 2, 3, 4, 5
), ended AS MATERIALIZED (
    SELECT CASE WHEN j.kind_id = ANY (%(own)s::text[]) THEN j.kind_id ELSE %(other)s END AS kind,
           e.verb, e.actor, e.to_status, e.from_status IN ('claimed', 'processing') AS leased, count(*) AS n
    FROM jobs_jobevent e
    -- LIMIT, so that each job is found by its key, and PostgreSQL never thinks of reading them all.
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('release', 'expire', 'fail', 'cancel') AND e.at >= %(since)s AND e.at < %(until)s
    GROUP BY 1, 2, 3, 4, 5
), counts (name, kind, source, n) AS (
    SELECT 'finished', kind, status, n FROM done WHERE status = 'succeeded'
    UNION ALL
    SELECT 'finished', kind, to_status, n FROM ended WHERE to_status IN ('failed', 'cancelled')
    UNION ALL
    SELECT 'failed', kind, actor, n FROM ended WHERE verb = 'fail'
    UNION ALL
    SELECT 'released', kind, actor, n FROM ended WHERE verb = 'release' OR verb = 'expire' AND to_status = 'pending'
    UNION ALL
    SELECT 'expired', kind, '', n FROM ended WHERE verb = 'expire'
    UNION ALL
    SELECT 'leases', kind, '', n FROM done WHERE status = 'succeeded' AND leased
    UNION ALL
    SELECT 'leases', kind, '', n FROM ended WHERE leased
), stepped (name, kind, step, n, seconds) AS (
    SELECT 'wait', kind, wait_step, n, waited FROM done WHERE wait_step IS NOT NULL
    UNION ALL
    SELECT 'run', kind, run_step, n, ran FROM done WHERE run_step IS NOT NULL
), measured AS (
    SELECT name, kind, sum(n) AS n, sum(seconds) AS seconds,
           array_agg(at_step ORDER BY step) AS steps
    FROM (SELECT s.name, s.kind, i AS step, sum(s.n) FILTER (WHERE s.step = i) AS n,
                 COALESCE(sum(s.n) FILTER (WHERE s.step = i), 0)::bigint AS at_step,
                 sum(s.seconds) FILTER (WHERE s.step = i) AS seconds
          FROM stepped s CROSS JOIN generate_series(0, %(last)s) AS i
          GROUP BY s.name, s.kind, i) AS by_step
    GROUP BY name, kind
)
INSERT INTO jobs_metered AS m (name, kind, source, n, seconds, steps, at)
SELECT name, kind, source, sum(n), 0, '{}'::bigint[], %(until)s::timestamptz FROM counts GROUP BY name, kind, source
UNION ALL
SELECT name, kind, '', n, seconds, steps, %(until)s FROM measured
ON CONFLICT (name, kind, source) DO UPDATE
SET n = m.n + EXCLUDED.n,
    seconds = m.seconds + EXCLUDED.seconds,
    steps = ARRAY(SELECT COALESCE(a, 0) + COALESCE(b, 0)
                  FROM unnest(m.steps, EXCLUDED.steps) WITH ORDINALITY AS u(a, b, i) ORDER BY i),
    at = EXCLUDED.at;
