"""Fill a database as a large site has it: a thousand kinds, ten thousand bots, half of them stuck, and many jobs."""

from bench.database import Server
from bench.filling import without_indexes

#: The jobs that are pending and held beside the finished ones; each bot holds as many.
PENDING, HELD = 100_000, 20_000

_BEFORE = """
    INSERT INTO jobs_jobkind (name, when_silent, when_overdue)
    SELECT 'kind-' || to_char(n, 'FM0000'), 'flag', 'flag' FROM generate_series(0, {kinds} - 1) AS n;
    INSERT INTO bots_bot (name, kinds, last_seen_at, status, token_prefix)
    SELECT 'robot-' || to_char(n, 'FM00000'), '{{}}', now(), 'busy', '' FROM generate_series(1, {bots}) AS n
"""
#: Few kinds have most of the jobs, and twenty bots take the jobs of a kind. In order of time and of ids, over thirty
#: days. The server writes the rows itself: nothing is sent, as it would be for a COPY.
_JOBS = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_at, started_at, heartbeat_at, finished_at,
                          created_at, run_at, result, finished_by_id, error, key)
    SELECT 'kind-' || to_char(kind, 'FM0000'), jsonb_build_object('customer', n % 900),
           status, 1, t, t, t, t + interval '1 second', t, t, '{{"ok": true}}',
           CASE WHEN status = 'succeeded' THEN first + (kind * 10 + n % 20) % {bots} END,
           CASE WHEN status = 'failed' THEN 'ConnectionError: connection refused' ELSE '' END,
           CASE WHEN n % 10 = 0 THEN 'key-' || n END
    FROM (SELECT n, now() - interval '5 minutes' - interval '30 days' * (1 - n / {finished}::double precision) AS t,
                 CASE WHEN n % 100 < 97 THEN 'succeeded' WHEN n % 100 < 99 THEN 'failed' ELSE 'cancelled' END AS status,
                 floor({kinds} * power(random(), 3))::bigint AS kind
          FROM generate_series(1, {finished}) AS n) moments,
         (SELECT min(id) AS first FROM bots_bot WHERE name LIKE 'robot-%') bots;
    INSERT INTO jobs_job (kind_id, payload, priority, run_at)
    SELECT 'kind-' || to_char(floor({kinds} * power(random(), 3)), 'FM0000'), '{{}}', 5 * (n % 20 = 0)::integer,
           now() + CASE WHEN n % 10 = 0 THEN interval '1 day' ELSE interval '-4 minutes' END * random()
    FROM generate_series(1, {pending}) AS n;
    INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_by_id, claimed_at, started_at, heartbeat_at,
                          deadline_at, created_at, run_at)
    SELECT 'kind-' || to_char(floor({kinds} * power(random(), 3)), 'FM0000'), '{{}}', 'processing', 1,
           first + n % {bots}, t, t, CASE WHEN unwell THEN t ELSE now() + interval '1 hour' END,
           now() + interval '6 hours', t, t
    FROM (SELECT n, n % 2 = 0 AND n <= {bots} AS unwell,
                 now() - CASE WHEN n % 4 = 0 THEN interval '10 minutes' ELSE interval '3 minutes' END AS t
          FROM generate_series(1, {held}) AS n) moments,
         (SELECT min(id) AS first FROM bots_bot WHERE name LIKE 'robot-%') bots
"""
_AFTER = """
    UPDATE bots_bot b
    SET stuck_job_id = j.id, health_checked_at = now(),
        health_status = CASE WHEN j.heartbeat_at < now() - interval '6 minutes' THEN 'unhealthy'
                             ELSE 'potentially_stuck' END,
        health_reason = 'silent for 6 m on ' || j.kind_id || ' job ' || j.id || ', limit 2 m'
    FROM jobs_job j WHERE j.claimed_by_id = b.id AND j.heartbeat_at < now();
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT id, 1, CASE WHEN status = 'failed' THEN 'fail' WHEN id % 3 = 0 THEN 'expire' ELSE 'release' END,
           'processing', CASE WHEN status = 'failed' THEN 'failed' ELSE 'pending' END, finished_by_id,
           CASE WHEN status = 'failed' THEN 'bot' WHEN id % 3 = 0 THEN 'sweep' WHEN id % 50 = 1 THEN 'operator'
                ELSE 'bot' END, 'olga', 'silent for 6 m on job ' || id, finished_at,
           jsonb_build_object('claimed_at', claimed_at)
    FROM jobs_job WHERE status = 'failed' OR (status = 'succeeded' AND id % 11 = 0)
"""
#: What the sweep would have added up, but for chance: by the kinds' shares, without reading the jobs again. Rows are
#: written in the order of time, as the sweep does.
_ROLLUP = """
    INSERT INTO jobs_jobrollup (span, start, kind, bot, succeeded, expired, released, handed_back, leases_ended, waits,
                                waited, ran, pending, due, run_times)
    WITH kinds AS (
        SELECT n, 'kind-' || to_char(n, 'FM0000') AS kind,
               power((n + 1) / {kinds}.0, 1 / 3.0) - power(n / {kinds}.0, 1 / 3.0) AS share
        FROM generate_series(0, {kinds} - 1) AS n
    ), stretches (span, start, minutes) AS (
        SELECT 'minute', date_trunc('minute', now()) - n * interval '1 minute', 1 FROM generate_series(1, 179) AS n
        UNION ALL
        SELECT 'quarter', date_bin('15 minutes', now(), 'epoch') - n * interval '15 minutes', 15
        FROM generate_series(0, 191) AS n
        UNION ALL
        SELECT 'hour', date_trunc('hour', now(), 'UTC') - n * interval '1 hour', 60 FROM generate_series(0, 719) AS n
    ), of_kinds AS (
        SELECT span, start, kind, 0::bigint AS bot, GREATEST(1, {finished} * share * minutes / 43200)::bigint AS n
        FROM kinds CROSS JOIN stretches
    ), of_bots (span, start, kind, bot, n) AS (
        SELECT 'bot_hour', date_trunc('hour', now(), 'UTC') - h * interval '1 hour', kind,
               first + (n * 10 + b) % {bots}, GREATEST(1, {finished} * share / 720 / 20)::bigint
        FROM kinds CROSS JOIN generate_series(0, 49) AS h CROSS JOIN generate_series(0, 19) AS b
        CROSS JOIN (SELECT min(id) AS first FROM bots_bot WHERE name LIKE 'robot-%') AS robots
        WHERE (n + b + h) % 2 = 0
        UNION ALL
        SELECT 'bot_day', date_trunc('day', now(), 'UTC') - d * interval '1 day', kind, first + (n * 10 + b) % {bots},
               GREATEST(1, {finished} * share / 30 / 20)::bigint
        FROM kinds CROSS JOIN generate_series(0, 29) AS d CROSS JOIN generate_series(0, 19) AS b
        CROSS JOIN (SELECT min(id) AS first FROM bots_bot WHERE name LIKE 'robot-%') AS robots
    ), all_of_them AS (
        SELECT * FROM of_kinds
        UNION ALL
        SELECT span, start, '', 0, sum(n)::bigint FROM of_kinds GROUP BY span, start
        UNION ALL
        SELECT * FROM of_bots
    )
    SELECT span, start, kind, bot, n, n / 30, n / 500, n / 20, n, n, n / 10.0, n, CASE WHEN bot = 0 THEN n END,
           CASE WHEN bot = 0 THEN n END,
           CASE WHEN span = 'hour' THEN jsonb_build_object('40', n, '45', n / 2 + 1, '50', n / 4 + 1, '60', 1, '70', 1)
                ELSE '{{}}' END
    FROM all_of_them
    ORDER BY start, span, kind, bot;
    INSERT INTO jobs_rollupstate (id, added_until) VALUES (1, date_trunc('minute', now()))
    ON CONFLICT (id) DO UPDATE SET added_until = EXCLUDED.added_until
"""


def fill(server: Server, name: str, *, finished: int, kinds: int, bots: int) -> None:
    """Write the rows, and those that the sweep would have written."""
    count = {"finished": finished, "kinds": kinds, "bots": bots, "pending": PENDING, "held": max(HELD, bots)}
    server.run(name, _BEFORE.format(**count))
    with without_indexes(server, name) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(_JOBS.format(**count).encode())
    quick = ("SET session_replication_role = replica", "SET synchronous_commit = off")
    server.run(name, *quick, _AFTER, _ROLLUP.format(**count))
    server.settle(name)
