-- Add minutes: what ended from one moment to another is added to the rollup, in every span, and recorded as added.
-- Successes and times are read from the jobs, all other ends from the history: a job that failed may have been sent
-- back since. Returns how many successes of each kind ran how long, by the buckets of jobs/stats/times.py.
WITH done AS MATERIALIZED (
    SELECT date_bin('1 minute', finished_at, 'epoch') AS minute, kind_id AS kind, finished_by_id AS bot, status,
           claimed_at IS NOT NULL AS leased, t.waited, t.ran, {wait_bucket} AS wait_bucket, {run_bucket} AS run_bucket
    FROM {finished_between}
    CROSS JOIN LATERAL (
        -- GREATEST passes over NULL: what was never claimed has not waited for no time.
        SELECT CASE WHEN claimed_at IS NOT NULL
                    THEN GREATEST(date_part('epoch', claimed_at - GREATEST(run_at, finished.created_at)), 0) END AS waited,
               CASE WHEN status = 'succeeded' AND started_at IS NOT NULL
                    THEN GREATEST(date_part('epoch', finished_at - started_at), 0) END AS ran) t
    WHERE {not_yet_added}
), ends (minute, kind, bot, verb, actor, to_status, leased, n, waits, waited, ran) AS MATERIALIZED (
    SELECT minute, kind, bot, 'complete', '', status, leased, count(*), count(waited),
           COALESCE(sum(waited), 0), COALESCE(sum(ran), 0)
    FROM done
    GROUP BY minute, kind, bot, status, leased
    UNION ALL
    SELECT date_bin('1 minute', e.at, 'epoch'), j.kind_id, e.bot_id, e.verb, e.actor, e.to_status,
           e.from_status IN ('claimed', 'processing'), count(*), 0, 0, 0
    FROM jobs_jobevent e
    -- LIMIT, so that each job is found by its key, and PostgreSQL never considers reading them all.
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('release', 'defer', 'expire', 'fail', 'cancel', 'drop') AND e.at >= %(since)s AND e.at < %(until)s
      AND {event_not_yet_added}
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), counted AS MATERIALIZED (
    SELECT minute, kind, bot,
           -- Jobs that failed or were cancelled may be neither by now: they give their times here, and no counts.
           CASE WHEN verb = 'complete' AND to_status = 'succeeded' THEN n ELSE 0 END AS succeeded,
           CASE WHEN verb <> 'complete' AND to_status = 'failed' THEN n ELSE 0 END AS failed,
           CASE WHEN verb <> 'complete' AND to_status = 'cancelled' THEN n ELSE 0 END AS cancelled,
           CASE WHEN verb = 'fail' AND actor <> 'sweep' THEN n ELSE 0 END AS attempts_failed,
           CASE WHEN verb = 'fail' AND actor = 'sweep' THEN n ELSE 0 END AS given_up,
           CASE WHEN verb = 'expire' THEN n ELSE 0 END AS expired,
           CASE WHEN verb = 'expire' AND to_status = 'pending' THEN n ELSE 0 END AS requeued,
           CASE WHEN verb = 'release' AND actor = 'operator' THEN n ELSE 0 END AS released,
           CASE WHEN verb = 'defer' OR verb = 'release' AND actor <> 'operator' THEN n ELSE 0 END AS handed_back,
           CASE WHEN verb = 'cancel' AND leased THEN n ELSE 0 END AS cancelled_held,
           CASE WHEN leased AND (verb <> 'complete' OR to_status = 'succeeded') THEN n ELSE 0 END AS leases_ended,
           -- Rows of bots are about leases that ended; a late result that was accepted is the bot's, too.
           CASE WHEN verb = 'complete' THEN to_status = 'succeeded' ELSE leased END AS of_a_bot, waits, waited, ran
    FROM ends
), minutes AS MATERIALIZED (
    -- Hours and days are those of the site's time zone.
    SELECT minute, date_bin('15 minutes', minute, 'epoch') AS quarter, date_trunc('hour', minute, %(zone)s) AS hour,
           date_trunc('day', minute, %(zone)s) AS day, %(now)s::timestamptz - minute AS age
    FROM (SELECT minute FROM ends GROUP BY minute) AS there
), spans AS (
    SELECT s.span, s.start, s.kind, s.bot, {sums}
    FROM counted c
    JOIN minutes m USING (minute)
    CROSS JOIN LATERAL (VALUES
        ('minute', c.minute, c.kind, 0::bigint, %(keep_minute)s::interval),
        ('minute', c.minute, '', 0, %(keep_minute)s),
        ('quarter', m.quarter, c.kind, 0, %(keep_quarter)s),
        ('quarter', m.quarter, '', 0, %(keep_quarter)s),
        ('hour', m.hour, c.kind, 0, %(keep_hour)s),
        ('hour', m.hour, '', 0, %(keep_hour)s),
        ('bot_hour', m.hour, c.kind, COALESCE(c.bot, 0), %(keep_bot_hour)s),
        ('bot_day', m.day, c.kind, COALESCE(c.bot, 0), %(keep_bot_day)s),
        ('total', 'epoch', CASE WHEN c.kind = ANY (%(labels)s::text[]) THEN c.kind ELSE %(other)s END, 0, m.age)
    ) AS s(span, start, kind, bot, keep)
    WHERE m.age <= s.keep AND (c.of_a_bot OR s.span NOT IN ('bot_hour', 'bot_day'))
    GROUP BY 1, 2, 3, 4
), times (measure, minute, kind, bucket, n) AS MATERIALIZED (
    SELECT 'run', minute, kind, run_bucket, count(*) FROM done WHERE run_bucket IS NOT NULL GROUP BY 2, 3, 4
    UNION ALL
    SELECT 'wait', minute, kind, wait_bucket, count(*) FROM done WHERE wait_bucket IS NOT NULL GROUP BY 2, 3, 4
), histograms AS (
    SELECT span, start, kind,
           COALESCE(jsonb_object_agg(bucket, n) FILTER (WHERE measure = 'wait'), '{}') AS wait_times,
           COALESCE(jsonb_object_agg(bucket, n) FILTER (WHERE measure = 'run'), '{}') AS run_times
    FROM (SELECT s.span, s.start, s.kind, t.measure, t.bucket, sum(t.n) AS n
          FROM times t
          JOIN minutes m USING (minute)
          CROSS JOIN LATERAL (VALUES
              ('hour', m.hour, t.kind), ('hour', m.hour, ''),
              ('total', 'epoch', CASE WHEN t.kind = ANY (%(labels)s::text[]) THEN t.kind ELSE %(other)s END)
          ) AS s(span, start, kind)
          GROUP BY 1, 2, 3, 4, 5) AS summed
    GROUP BY span, start, kind
), added AS (
    INSERT INTO jobs_jobrollup AS r (span, start, kind, bot, {columns}, wait_times, run_times)
    SELECT s.span, s.start, s.kind, s.bot, {columns},
           COALESCE(h.wait_times, '{}'), COALESCE(h.run_times, '{}')
    FROM spans s
    LEFT JOIN histograms h ON h.span = s.span AND h.start = s.start AND h.kind = s.kind
    ON CONFLICT (span, start, kind, bot) DO UPDATE
    SET {additions},
        wait_times = {wait_times},
        run_times = {run_times}
), state AS (
    UPDATE jobs_rollupstate
    SET added_until = %(added_until)s,
        reopened = %(reopened)s::jsonb || CASE WHEN %(open_since)s::timestamptz IS NULL THEN '[]' ELSE
            jsonb_build_array(jsonb_build_object('since', %(open_since)s::timestamptz, 'until', %(until)s::timestamptz,
                                                 'snapshot', pg_current_snapshot()::text)) END
)
SELECT kind, bucket, sum(n)::bigint AS n FROM times WHERE measure = 'run' GROUP BY kind, bucket;
