-- Seed: finished jobs as they might have been, from one number to another of so many, spread over the past.
WITH drawn AS (
    SELECT n, k.*, random() AS outcome, random() AS luck, 1 + floor(random() * 900)::integer AS customer,
           sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS bell,
           (n - 0.5) / %(rows)s AS u
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    CROSS JOIN LATERAL (SELECT random() AS dice, n AS drawn_for) d
    JOIN unnest(%(kinds)s::text[], %(low)s::float8[], %(high)s::float8[], %(median)s::float8[], %(spread)s::float8[],
                %(failing)s::float8[]) AS k(kind, low, high, median, spread, failing)
      ON d.dice >= k.low AND d.dice < k.high
), placed AS (
    SELECT *, (%(bots)s::bigint[])[1 + (n * 11 + customer) %% cardinality(%(bots)s::bigint[])] AS first_bot,
           -- Days are busier than nights: time is stretched by a wave of a day.
           %(until)s::timestamptz - %(past)s::interval
               * (1 - (u + 0.8 * sin(2 * pi() * %(days)s * u) / (2 * pi() * %(days)s))) AS created,
           CASE WHEN outcome < failing THEN 'failed' WHEN outcome > 0.995 THEN 'cancelled' ELSE 'succeeded' END AS status,
           (0.2 + 3 * random() * random() * (1 + sin(2 * pi() * %(days)s * u))) * interval '1 second' AS wait,
           median * exp(spread * bell) * interval '1 second' AS run
    FROM drawn
), fated AS (
    -- Few leases are given back: more of the second bot's, of films, and at night, when the storage is backed up.
    SELECT *, 0.002 + CASE WHEN first_bot = (%(bots)s::bigint[])[2] THEN 0.08 ELSE 0 END
                    + CASE WHEN kind = 'video.transcode' THEN 0.012 ELSE 0 END
                    + CASE WHEN extract(hour FROM created AT TIME ZONE 'UTC') = 3 THEN 0.02 ELSE 0 END AS fate
    FROM placed
), timed AS (
    SELECT *, back IS NOT NULL AS twice,
           CASE WHEN back IS NOT NULL THEN (40 + 900 * luck * luck / fate / fate) * interval '1 second'
                ELSE interval '0' END AS lost
    FROM (SELECT *, CASE WHEN status <> 'succeeded' OR luck >= fate THEN NULL
                         WHEN n %% 5 = 0 THEN 'hand back' WHEN n %% 5 < 3 THEN 'expire' ELSE 'release' END AS back
          FROM fated) f
), added AS (
    INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, status, attempt, max_attempts, uncounted, instance,
                          claimed_at, started_at, heartbeat_at, finished_at, finished_by_id, created_at, progress,
                          progress_note, result, error)
    SELECT kind,
           jsonb_build_object('customer', customer, 'source', (ARRAY['web', 'api', 'import'])[1 + n %% 3],
                              'document', 'doc-' || n, 'retry_of', NULL),
           CASE WHEN n %% 20 = 0 THEN 5 ELSE 0 END, created,
           CASE WHEN n %% 10 = 0 THEN 'seed-' || %(tag)s || '-' || n END, status,
           CASE WHEN status = 'failed' THEN 3 WHEN status = 'cancelled' THEN 0 WHEN twice THEN 2 ELSE 1 END, 3,
           CASE WHEN twice AND back <> 'expire' THEN 1 ELSE 0 END, '',
           CASE WHEN status <> 'cancelled' THEN created + wait + lost END,
           CASE WHEN status <> 'cancelled' THEN created + wait + lost END,
           CASE WHEN status <> 'cancelled' THEN created + wait + lost + run END,
           LEAST(created + wait + lost + run, %(until)s::timestamptz),
           CASE WHEN status = 'succeeded' THEN (%(bots)s::bigint[])[1 + (n * 7 + customer) %% cardinality(%(bots)s::bigint[])] END,
           created, CASE WHEN status = 'succeeded' THEN 100 END, '',
           CASE WHEN status = 'succeeded' THEN jsonb_build_object('ok', true, 'bytes', 1000 + customer * 37) END,
           CASE WHEN status = 'failed' THEN (ARRAY[
               E'Traceback (most recent call last):\n  File "worker.py", line 88, in run\n    answer = session.get(url, timeout=10)\n  File "http/session.py", line 412, in get\n    raise Timeout(url)\nhttp.errors.Timeout: no answer within 10 s',
               E'ConnectionError: connection refused by 10.0.4.17:5432',
               E'ValueError: customer has no address',
               E'MemoryError: the picture needs 9.1 GB'])[1 + (n %% 4)] ELSE '' END
    FROM timed
    ORDER BY n
    RETURNING id, status, attempt, finished_at, error, payload ->> 'document' AS document
), failed AS (
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT id, attempt, 'fail', 'processing', 'failed',
           (%(bots)s::bigint[])[1 + id %% cardinality(%(bots)s::bigint[])], 'bot', '', error, finished_at, '{}'
    FROM added WHERE status = 'failed'
)
INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
SELECT id, 1, 'cancel', 'pending', 'cancelled', NULL, 'operator', (ARRAY['olga', 'ben', 'mira'])[1 + id / 7 %% 3],
       (ARRAY['', 'asked for by the customer'])[1 + id / 100 %% 2], finished_at, '{}'
FROM added
WHERE status = 'cancelled'
UNION ALL
SELECT a.id, 1, CASE WHEN t.back = 'expire' THEN 'expire' ELSE 'release' END, 'processing', 'pending', t.first_bot,
       CASE t.back WHEN 'expire' THEN 'sweep' WHEN 'release' THEN 'operator' ELSE 'bot' END,
       CASE t.back WHEN 'expire' THEN 'sweep_stuck' WHEN 'release' THEN (ARRAY['olga', 'ben', 'mira'])[1 + a.id / 7 %% 3]
                   ELSE '' END,
       CASE t.back WHEN 'expire' THEN 'silent for ' || ceil(extract(epoch FROM t.lost) / 60) || ' m on ' || t.kind
                                      || ' job ' || a.id || ', limit 2 m'
                   WHEN 'release' THEN (ARRAY['the bot hangs', 'host is down for maintenance', '', 'no progress'])
                                       [1 + a.id / 100 %% 4]
                   ELSE 'handed back by the bot' END,
       LEAST(t.created + t.wait + t.lost, a.finished_at), jsonb_build_object('claimed_at', t.created + t.wait)
FROM added a
JOIN timed t ON a.document = 'doc-' || t.n
WHERE t.twice;
