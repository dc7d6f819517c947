-- Tally: what ended from one moment to another is added to the figures, for each span, for each kind and for all.
-- Returns how many successes of each kind ran how long, by the buckets of jobs/learned.py: the jobs are read once.
WITH fine AS MATERIALIZED (
    SELECT date_trunc('minute', finished_at, 'UTC') AS minute, kind_id AS kind, status,
           -- Which step its run time is on: step n reaches to 0.1 s times two to the n.
           CASE WHEN status = 'succeeded' AND started_at IS NOT NULL
                THEN GREATEST(0, LEAST(%(steps)s, ceil(log(2, GREATEST(
                         EXTRACT(epoch FROM finished_at - started_at), 0.001) / 0.1))))::integer END AS step,
           -- Bucket n reaches to the shortest time times the ratio to the n.
           CASE WHEN status = 'succeeded' AND started_at IS NOT NULL
                THEN LEAST(%(buckets)s - 1, ceil(ln(GREATEST(
                         EXTRACT(epoch FROM finished_at - started_at)::double precision / %(shortest)s, 1))
                     / ln(%(ratio)s::double precision)))::integer END AS bucket,
           count(*) AS n,
           count(claimed_at) AS waits,
           COALESCE(sum(GREATEST(EXTRACT(epoch FROM claimed_at - run_at), 0)), 0) AS waited,
           COALESCE(sum(EXTRACT(epoch FROM finished_at - started_at)) FILTER (WHERE status = 'succeeded'), 0) AS ran
    FROM {finished_between}
    GROUP BY 1, 2, 3, 4, 5
), ended AS MATERIALIZED (
    SELECT minute, kind, status, step, sum(n) AS n, sum(waits) AS waits, sum(waited) AS waited, sum(ran) AS ran
    FROM fine
    GROUP BY 1, 2, 3, 4
), spans AS (
    SELECT s.span, date_bin(s.width, e.minute, 'epoch') AS start, e.*
    FROM ended e
    CROSS JOIN (VALUES ('minute', interval '1 minute', %(keep_minutes)s), ('quarter', interval '15 minutes',
                %(keep_quarters)s), ('hour', interval '1 hour', %(keep_hours)s)) AS s(span, width, keep)
    WHERE e.minute >= statement_timestamp() - s.keep
), stepped AS (
    SELECT span, start, COALESCE(kind, '') AS kind, step, sum(n) AS n,
           COALESCE(sum(n) FILTER (WHERE status = 'succeeded'), 0) AS succeeded,
           COALESCE(sum(n) FILTER (WHERE status = 'failed'), 0) AS failed,
           COALESCE(sum(n) FILTER (WHERE status = 'cancelled'), 0) AS cancelled,
           sum(waits) AS waits, sum(waited) AS waited, sum(ran) AS ran
    FROM spans
    GROUP BY GROUPING SETS ((span, start, step, kind), (span, start, step))
), totals AS (
    SELECT span, start, kind, sum(succeeded) AS succeeded, sum(failed) AS failed, sum(cancelled) AS cancelled,
           sum(waits) AS waits, sum(waited) AS waited, sum(ran) AS ran,
           (SELECT array_agg(COALESCE(m.n, 0)::integer ORDER BY i)
            FROM generate_series(0, %(steps)s) AS i
            LEFT JOIN (SELECT key::integer AS i, value::integer AS n
                       FROM jsonb_each_text(jsonb_object_agg(s.step, s.n) FILTER (WHERE s.step IS NOT NULL))) m
                   USING (i)) AS runs
    FROM stepped s
    GROUP BY span, start, kind
), kept AS (
    INSERT INTO jobs_tally AS t (span, start, kind, succeeded, failed, cancelled, waits, waited, ran, runs)
    SELECT span, start, kind, succeeded, failed, cancelled, waits, waited, ran, runs FROM totals
    ON CONFLICT (span, kind, start) DO UPDATE
    SET succeeded = t.succeeded + EXCLUDED.succeeded,
        failed = t.failed + EXCLUDED.failed,
        cancelled = t.cancelled + EXCLUDED.cancelled,
        waits = t.waits + EXCLUDED.waits,
        waited = t.waited + EXCLUDED.waited,
        ran = t.ran + EXCLUDED.ran,
        runs = (SELECT array_agg(COALESCE(a, 0) + COALESCE(b, 0) ORDER BY i)
                FROM unnest(t.runs, EXCLUDED.runs) WITH ORDINALITY AS u(a, b, i))
)
SELECT kind, bucket, sum(n)::bigint AS n FROM fine WHERE bucket IS NOT NULL GROUP BY kind, bucket;
