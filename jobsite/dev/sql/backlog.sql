-- Backlog: how many jobs were pending, and due, at the end of each minute of the past, worked out from the jobs that are
-- there, as if the sweep had counted them then.
WITH changes (kind, at, pending, due) AS (
    SELECT kind_id, created_at, 1, 0 FROM jobs_job
    UNION ALL
    SELECT kind_id, GREATEST(created_at, run_at), 0, 1 FROM jobs_job
    UNION ALL
    SELECT kind_id, COALESCE(claimed_at, finished_at), -1, -1 FROM jobs_job WHERE status <> 'pending'
), by_minute AS (
    SELECT kind, GREATEST(date_bin('1 minute', at, 'epoch'), %(since)s::timestamptz) AS minute, sum(pending) AS pending, sum(due) AS due
    FROM changes WHERE at <= %(until)s
    GROUP BY 1, 2
), levels AS (
    SELECT k.name AS kind, m AS minute, COALESCE(sum(c.pending) OVER sofar, 0) AS pending,
           COALESCE(sum(c.due) OVER sofar, 0) AS due
    FROM jobs_jobkind k
    CROSS JOIN generate_series(%(since)s::timestamptz, %(until)s::timestamptz, interval '1 minute') AS m
    LEFT JOIN by_minute c ON c.kind = k.name AND c.minute = m
    WINDOW sofar AS (PARTITION BY k.name ORDER BY m)
), spans AS (
    SELECT s.span, s.start, l.kind, max(l.pending) AS pending, max(l.due) AS due
    FROM (SELECT * FROM levels UNION ALL SELECT '', minute, sum(pending), sum(due) FROM levels GROUP BY minute) AS l
    CROSS JOIN LATERAL (VALUES
        ('minute', l.minute, %(keep_minute)s::interval),
        ('quarter', date_bin('15 minutes', l.minute, 'epoch'), %(keep_quarter)s),
        ('hour', date_trunc('hour', l.minute, %(zone)s), %(keep_hour)s)
    ) AS s(span, start, keep)
    WHERE l.minute >= %(until)s::timestamptz - s.keep
    GROUP BY 1, 2, 3
)
INSERT INTO jobs_jobrollup AS r (span, start, kind, pending, due)
SELECT span, start, kind, pending, due FROM spans WHERE pending > 0 OR kind = ''
ON CONFLICT (span, start, kind, bot) DO UPDATE
SET pending = GREATEST(r.pending, EXCLUDED.pending), due = GREATEST(r.due, EXCLUDED.due);
