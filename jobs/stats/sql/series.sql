-- Series: the last bars of a chart, up to the last minute that is counted, each with the sums of the rollup's rows that
-- begin in it, and the most jobs that were pending and due: NULL where nothing was counted, by the rows of all kinds.
-- Rows are found by their starts, one by one: hours begin when the site's do, and did so in another time zone before.
WITH clock AS (
    SELECT COALESCE(%(now)s::timestamptz, (SELECT added_until - interval '1 minute' FROM jobs_rollupstate),
                    statement_timestamp()) AS now
), bars AS (
    SELECT start
    FROM (SELECT CASE WHEN %(span)s = 'hour' THEN date_trunc('hour', now - n * %(width)s::interval, %(zone)s)
                      ELSE date_bin(%(width)s, now - n * %(width)s::interval, 'epoch') END AS start, now
          FROM clock CROSS JOIN generate_series(0, %(bars)s - 1) AS n) AS b
    -- A day is 24 hours of the clock with the present one, as in all figures of a day.
    WHERE %(span)s <> 'quarter' OR start >= date_trunc('hour', now, %(zone)s) - interval '23 hours'
)
SELECT b.start, COALESCE(sum(r.succeeded), 0)::bigint AS succeeded, COALESCE(sum(r.failed), 0)::bigint AS failed,
       COALESCE(sum(r.cancelled), 0)::bigint AS cancelled,
       sum(r.waited) / NULLIF(sum(r.waits), 0)::double precision AS wait,
       sum(r.ran) / NULLIF(sum(r.succeeded), 0)::double precision AS run,
       CASE WHEN max(a.pending) IS NOT NULL THEN COALESCE(max(r.pending), 0) END AS pending,
       CASE WHEN max(a.pending) IS NOT NULL THEN COALESCE(max(r.due), 0) END AS due,
       (SELECT added_until FROM jobs_rollupstate) AS until
FROM bars b
CROSS JOIN generate_series(0, %(starts)s - 1) AS n
LEFT JOIN jobs_jobrollup r
       ON r.span = %(span)s AND r.start = b.start + n * interval '15 minutes' AND r.kind = %(kind)s AND r.bot = 0
LEFT JOIN jobs_jobrollup a
       ON a.span = %(span)s AND a.start = b.start + n * interval '15 minutes' AND a.kind = '' AND a.bot = 0
GROUP BY b.start
ORDER BY b.start;
