-- Count pending: how many jobs of each kind are pending, and due, all of them, from indexes alone. Nothing is due that
-- nobody gets: of a kind that is paused or throttled, or too late (as in scale.sql). The rollup keeps the most of each
-- minute, quarter and hour; a kind has no row for none. Returns the pending ones by the labels of /metrics.
WITH counted AS MATERIALIZED (
    SELECT kind, sum(pending)::bigint AS pending,
           CASE WHEN kind IN ({closed}) THEN 0 ELSE sum(due)::bigint END AS due
    FROM (
        SELECT kind_id AS kind, count(*) AS pending, count(*) FILTER (WHERE run_at <= statement_timestamp()) AS due
        FROM jobs_job WHERE status = 'pending' AND NOT gated GROUP BY kind_id
        UNION ALL
        SELECT kind_id, count(*), count(*) FILTER (WHERE run_at <= statement_timestamp())
        FROM jobs_job WHERE status = 'pending' AND gated GROUP BY kind_id
        UNION ALL
        SELECT kind_id, 0, -count(*) FROM jobs_job
        WHERE status = 'pending' AND start_by <= statement_timestamp() AND run_at <= statement_timestamp()
        GROUP BY kind_id
    ) AS by_lane
    GROUP BY kind
), kept AS (
    INSERT INTO jobs_jobrollup AS r (span, start, kind, pending, due)
    SELECT s.span, s.start, c.kind, c.pending, c.due
    FROM (SELECT kind, pending, due FROM counted
          UNION ALL
          SELECT '', COALESCE(sum(pending), 0), COALESCE(sum(due), 0) FROM counted) AS c
    CROSS JOIN (VALUES
        ('minute', date_bin('1 minute', %(now)s::timestamptz, 'epoch')),
        ('quarter', date_bin('15 minutes', %(now)s::timestamptz, 'epoch')),
        ('hour', date_trunc('hour', %(now)s::timestamptz, %(zone)s))
    ) AS s(span, start)
    -- GREATEST passes over NULL.
    ON CONFLICT (span, start, kind, bot) DO UPDATE
    SET pending = GREATEST(r.pending, EXCLUDED.pending), due = GREATEST(r.due, EXCLUDED.due)
)
SELECT CASE WHEN kind = ANY (%(labels)s::text[]) THEN kind ELSE %(other)s END AS kind, sum(pending)::bigint AS n
FROM counted
GROUP BY 1;
