"""One rollup in place of four: `jobs_jobrollup`, filled from them so that no figure changes.

Each of the three older tables was added up until a moment of its own. They are brought to the same moment first, then
copied, then dropped, in one transaction: until it commits, no sweep adds anything.
"""

from datetime import timedelta

from django.conf import settings
from django.db import migrations, models

SPANS = [
    ("minute", "Minute"),
    ("quarter", "quarter of an hour"),
    ("hour", "Hour"),
    ("bot_hour", "hour of one bot"),
    ("bot_day", "day of one bot"),
    ("total", "everything since the counters began, by the kind as /metrics has it"),
]


#: What one of the three had not added up when another had: each as the sweep added it then. What was learned of run
#: times is left as it is.
ADD_TO_TALLY = """
WITH ended AS MATERIALIZED (
    SELECT date_trunc('minute', finished_at, 'UTC') AS minute, kind_id AS kind, status,
           -- Which step its run time is on: step n reaches to 0.1 s times two to the n.
           CASE WHEN status = 'succeeded' AND started_at IS NOT NULL
                THEN GREATEST(0, LEAST(%(steps)s, ceil(log(2, GREATEST(
                         EXTRACT(epoch FROM finished_at - started_at), 0.001) / 0.1))))::integer END AS step,
           count(*) AS n,
           count(claimed_at) AS waits,
           COALESCE(sum(GREATEST(EXTRACT(epoch FROM claimed_at - run_at), 0)), 0) AS waited,
           COALESCE(sum(EXTRACT(epoch FROM finished_at - started_at)) FILTER (WHERE status = 'succeeded'), 0) AS ran
    FROM jobs_jobkind
    CROSS JOIN LATERAL (
        SELECT kind_id, status, run_at, claimed_at, started_at, finished_at, finished_by_id
        FROM jobs_job
        WHERE kind_id = jobs_jobkind.name AND status IN ('succeeded', 'failed', 'cancelled')
          AND finished_at >= %(since)s AND finished_at < %(until)s
        OFFSET 0
    ) AS finished
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
)
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
"""
ADD_TO_LEASES = """
WITH ended AS MATERIALIZED (
    SELECT date_bin('1 hour', finished_at, 'epoch') AS hour, date_trunc('day', finished_at, %(zone)s) AS day,
           kind_id AS kind, finished_by_id AS bot, 'succeeded' AS how, count(*) AS n
    FROM jobs_jobkind
    CROSS JOIN LATERAL (
        SELECT kind_id, status, run_at, claimed_at, started_at, finished_at, finished_by_id
        FROM jobs_job
        WHERE kind_id = jobs_jobkind.name AND status IN ('succeeded', 'failed', 'cancelled')
          AND finished_at >= %(since)s AND finished_at < %(until)s
        OFFSET 0
    ) AS finished
    WHERE status = 'succeeded'
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT date_bin('1 hour', e.at, 'epoch'), date_trunc('day', e.at, %(zone)s), j.kind_id, e.bot_id,
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
    expired = t.expired + EXCLUDED.expired
"""
ADD_TO_METERED = """
WITH done AS MATERIALIZED (
    SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END AS kind, status,
           claimed_at IS NOT NULL AS leased,
           -- How many steps are shorter: the thresholds are turned round, so that each belongs to its own step.
           %(last)s - width_bucket(-w.waited, %(steps)s::double precision[]) AS wait_step,
           %(last)s - width_bucket(-w.ran, %(steps)s::double precision[]) AS run_step,
           count(*) AS n, sum(w.waited) AS waited, sum(w.ran) AS ran
    FROM jobs_jobkind
    CROSS JOIN LATERAL (
        SELECT kind_id, status, run_at, claimed_at, started_at, finished_at, finished_by_id
        FROM jobs_job
        WHERE kind_id = jobs_jobkind.name AND status IN ('succeeded', 'failed', 'cancelled')
          AND finished_at >= %(since)s AND finished_at < %(until)s
        OFFSET 0
    ) AS finished
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
    at = EXCLUDED.at
"""

#: The buckets of `run_times` and `wait_times` that end where the steps of the older histograms did, and the one beyond.
HOME_BUCKETS = [24, 31, 39, 48, 57, 65, 74, 82, 91, 99, 108, 116, 125, 133, 141, 149, 158, 166, 167]
METRICS_BUCKETS = [24, 43, 52, 71, 85, 101, 121, 134, 151, 168, 169]

#: Hours of leases go further back than those of jobs.
COPY_KINDS = """
INSERT INTO jobs_jobrollup (span, start, kind, succeeded, failed, cancelled, waits, waited, ran, run_times,
                            attempts_failed, cancelled_held, released, handed_back, expired, leases_ended)
SELECT COALESCE(t.span, 'hour'), COALESCE(t.start, l.start), COALESCE(t.kind, l.kind),
       GREATEST(t.succeeded, l.succeeded), COALESCE(t.failed, 0), COALESCE(t.cancelled, 0), COALESCE(t.waits, 0),
       COALESCE(t.waited, 0), COALESCE(t.ran, 0),
       CASE WHEN t.span = 'hour' THEN (
           SELECT COALESCE(jsonb_object_agg(bucket, n), '{}')
           FROM unnest(t.runs, %(home)s::integer[]) AS u(n, bucket) WHERE n > 0)
       ELSE '{}' END,
       COALESCE(l.failed, 0), COALESCE(l.cancelled, 0), COALESCE(l.released, 0), COALESCE(l.handed_back, 0),
       COALESCE(l.expired, 0),
       COALESCE(l.succeeded + l.failed + l.cancelled + l.released + l.handed_back + l.expired, 0)
FROM jobs_tally t
FULL JOIN (SELECT * FROM jobs_leasetally WHERE span = 'hour') l
       ON l.span = t.span AND l.start = t.start AND l.kind = t.kind
"""
COPY_BOTS = """
INSERT INTO jobs_jobrollup (span, start, kind, bot, succeeded, attempts_failed, cancelled_held, released, handed_back,
                            expired, leases_ended)
SELECT span, start, kind, bot, succeeded, failed, cancelled, released, handed_back, expired,
       succeeded + failed + cancelled + released + handed_back + expired
FROM jobs_leasetally
WHERE span IN ('bot_hour', 'bot_day')
"""
COPY_METERED = """
WITH times AS (
    SELECT name, kind, n, seconds,
           (SELECT COALESCE(jsonb_object_agg(bucket, at_step), '{}')
            FROM unnest(steps, %(metrics)s::integer[]) AS u(at_step, bucket) WHERE at_step > 0) AS times
    FROM jobs_metered
    WHERE name IN ('wait', 'run')
), totals AS (
    SELECT kind, sum(n) FILTER (WHERE name = 'finished' AND source = 'succeeded') AS succeeded,
           sum(n) FILTER (WHERE name = 'finished' AND source = 'failed') AS failed,
           sum(n) FILTER (WHERE name = 'finished' AND source = 'cancelled') AS cancelled,
           sum(n) FILTER (WHERE name = 'failed' AND source <> 'sweep') AS attempts_failed,
           sum(n) FILTER (WHERE name = 'failed' AND source = 'sweep') AS given_up,
           sum(n) FILTER (WHERE name = 'released' AND source = 'operator') AS released,
           sum(n) FILTER (WHERE name = 'released' AND source = 'bot') AS handed_back,
           sum(n) FILTER (WHERE name = 'released' AND source = 'sweep') AS requeued,
           sum(n) FILTER (WHERE name = 'expired') AS expired,
           sum(n) FILTER (WHERE name = 'leases') AS leases_ended,
           sum(n) FILTER (WHERE name = 'claims') AS leases_given
    FROM jobs_metered
    WHERE name NOT IN ('mark', 'pending', 'counted')
    GROUP BY kind
)
INSERT INTO jobs_jobrollup (span, start, kind, succeeded, failed, cancelled, attempts_failed, given_up, released,
                            handed_back, requeued, expired, leases_ended, leases_given, waits, waited, ran, wait_times,
                            run_times)
SELECT 'total', 'epoch', t.kind, COALESCE(succeeded, 0), COALESCE(failed, 0), COALESCE(cancelled, 0),
       COALESCE(attempts_failed, 0), COALESCE(given_up, 0), COALESCE(released, 0), COALESCE(handed_back, 0),
       COALESCE(requeued, 0), COALESCE(expired, 0), COALESCE(leases_ended, 0), COALESCE(leases_given, 0),
       COALESCE(w.n, 0), COALESCE(w.seconds, 0), COALESCE(r.seconds, 0), COALESCE(w.times, '{}'),
       COALESCE(r.times, '{}')
FROM totals t
LEFT JOIN times w ON w.kind = t.kind AND w.name = 'wait'
LEFT JOIN times r ON r.kind = t.kind AND r.name = 'run'
"""
COPY_STATE = """
INSERT INTO jobs_rollupstate (id, added_until, pending, pending_at, pending_took)
SELECT 1, %(until)s::timestamptz,
       COALESCE((SELECT jsonb_object_agg(kind, n) FROM jobs_metered WHERE name = 'pending'), '{}'),
       (SELECT at FROM jobs_metered WHERE name = 'counted'),
       COALESCE((SELECT seconds FROM jobs_metered WHERE name = 'counted'), 0)
"""
#: A sweep on a machine whose clock was ahead recorded a moment that has not come: nothing after now is added up.
MARKS = """
SELECT tally, leases, metered,
       CASE WHEN COALESCE(tally, leases, metered) IS NOT NULL THEN
           LEAST(GREATEST(tally, leases, metered), date_trunc('minute', clock_timestamp(), 'UTC') + interval '1 minute')
       END
FROM (SELECT (SELECT max(start) + interval '1 minute' FROM jobs_tally WHERE span = 'minute' AND kind = '') AS tally,
             (SELECT max(start) FROM jobs_leasetally WHERE span = 'mark') AS leases,
             (SELECT max(at) FROM jobs_metered WHERE name = 'mark') AS metered) AS marks
"""


def fill(apps, schema_editor):
    """Bring the three to the same moment, and copy them."""
    with schema_editor.connection.cursor() as cursor:
        # A sweep that is at it is waited for; none begins meanwhile.
        cursor.execute("LOCK TABLE jobs_tally, jobs_leasetally, jobs_metered IN ACCESS EXCLUSIVE MODE")
        cursor.execute(MARKS)
        *marks, until = cursor.fetchone()
        if until is None:
            # Nothing was ever added up: the next sweep begins with what there is.
            return
        cursor.execute("SELECT kind FROM jobs_metered WHERE name = 'kind'")
        params = {
            "steps": 18,
            "keep_minutes": timedelta(hours=3),
            "keep_quarters": timedelta(days=2),
            "keep_hours": timedelta(days=35),
        }
        of_leases = {"zone": settings.TIME_ZONE, "bot_hours_from": until - timedelta(hours=50)}
        of_metered = {
            "own": [kind for (kind,) in cursor.fetchall()],
            "other": "_other",
            "last": 10,
            "steps": [-step for step in (14400.0, 3600.0, 900.0, 300.0, 60.0, 15.0, 5.0, 1.0, 0.5, 0.1)],
        }
        behind = ((ADD_TO_TALLY, params), (ADD_TO_LEASES, of_leases), (ADD_TO_METERED, of_metered))
        for mark, (statement, own) in zip(marks, behind, strict=True):
            # One that had not begun had nothing to add up, or begins now.
            if mark is not None and mark < until:
                cursor.execute(statement, own | {"since": mark, "until": until})
        cursor.execute(COPY_KINDS, {"home": HOME_BUCKETS})
        cursor.execute(COPY_BOTS)
        cursor.execute(COPY_METERED, {"metrics": METRICS_BUCKETS})
        cursor.execute(COPY_STATE, {"until": until})


def count(help_text=""):
    return models.BigIntegerField(db_default=0, default=0, help_text=help_text)


def times():
    return models.JSONField(blank=True, db_default={}, default=dict)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_one_turn")]

    operations = [
        migrations.CreateModel(
            name="JobRollup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=SPANS, max_length=10)),
                ("start", models.DateTimeField()),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("bot", models.BigIntegerField(db_default=0, default=0)),
                ("succeeded", count()),
                ("failed", count()),
                ("cancelled", count()),
                ("attempts_failed", count("Reported as failed by the bot.")),
                ("given_up", count("Ended by the sweep for good, by the kind's policy.")),
                ("expired", count("Ended by the sweep.")),
                ("requeued", count("Of those that expired: the job went back to pending.")),
                ("released", count("Released by an operator.")),
                ("handed_back", count("Given back by the bot.")),
                ("cancelled_held", count("The job was cancelled while a bot held it.")),
                ("leases_ended", count()),
                ("leases_given", count()),
                ("waits", count()),
                ("waited", models.FloatField(db_default=0, default=0)),
                ("ran", models.FloatField(db_default=0, default=0)),
                ("wait_times", times()),
                ("run_times", times()),
            ],
            options={
                "verbose_name": "rollup of jobs",
                "verbose_name_plural": "rollups of jobs",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("span__in", [span for span, _ in SPANS])), name="jobrollup_span_valid"
                    ),
                    models.UniqueConstraint(fields=("span", "start", "kind", "bot"), name="jobrollup_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RollupState",
            fields=[
                ("id", models.PositiveSmallIntegerField(db_default=1, default=1, primary_key=True, serialize=False)),
                ("added_until", models.DateTimeField(blank=True, null=True)),
                ("reopened", models.JSONField(blank=True, db_default=[], default=list)),
                ("pending", models.JSONField(blank=True, db_default={}, default=dict)),
                ("pending_at", models.DateTimeField(blank=True, null=True)),
                ("pending_took", models.FloatField(db_default=0, default=0)),
            ],
            options={
                "verbose_name": "state of the rollup",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="rollupstate_only_one")],
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.DeleteModel(name="Tally"),
        migrations.DeleteModel(name="LeaseTally"),
        migrations.DeleteModel(name="Metered"),
    ]
