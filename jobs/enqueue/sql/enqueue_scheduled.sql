-- Enqueue scheduled: insert the jobs of schedules' moments, with their occurrences and next moments, if nothing is special.
-- Returns those schedules that are not locked and were not changed since they were read. Not fired are those of which a
-- job has not ended, whose key a job has, or whose kind is new, bounded or about to be deleted. Whatever changes a
-- schedule, or adds a job of it by hand, writes its row (`xmin`). Without a key it waits for no lock.
WITH moment AS MATERIALIZED (
    SELECT s.id, s.name, s.kind, s.payload, s.priority, s.key, s.group_name, s.overlap, s.next_at, due.following
    FROM unnest(%(schedules)s::bigint[], %(versions)s::text[], %(following)s::timestamptz[])
        AS due(schedule, version, following)
    JOIN jobs_schedule s ON s.id = due.schedule AND s.xmin::text = due.version
    FOR NO KEY UPDATE OF s SKIP LOCKED
), kind AS MATERIALIZED (
    SELECT k.name, k.max_attempts, k.limited
    FROM jobs_jobkind k
    WHERE k.name IN (SELECT m.kind FROM moment m) AND k.max_pending IS NULL
    FOR KEY SHARE OF k SKIP LOCKED
), job AS (
    INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, max_attempts, schedule, scheduled_for, group_name,
                          gated)
    SELECT m.kind, m.payload, m.priority, statement_timestamp(), NULLIF(m.key, ''), k.max_attempts, m.name, m.next_at,
           m.group_name, k.limited OR m.group_name <> ''
    FROM moment m JOIN kind k ON k.name = m.kind
    WHERE m.overlap = 'allow' OR NOT EXISTS (
        SELECT FROM jobs_job j
        WHERE j.schedule = m.name AND j.schedule <> '' AND j.status IN ('pending', 'claimed', 'processing')
    )
    ON CONFLICT (kind_id, key) WHERE key IS NOT NULL DO NOTHING
    RETURNING id, schedule, gated, group_name
), occurrence AS (
    INSERT INTO jobs_scheduleoccurrence (schedule_id, due_at, until_at, fate, job_id)
    SELECT m.id, m.next_at, m.next_at, 'enqueued', j.id FROM moment m JOIN job j ON j.schedule = m.name
), moved AS (
    UPDATE jobs_schedule s SET next_at = m.following
    FROM moment m JOIN job j ON j.schedule = m.name
    WHERE s.id = m.id
    RETURNING s.id
)
SELECT m.id, moved.id IS NOT NULL AS fired, CASE WHEN job.gated THEN m.kind END AS kind, m.group_name
FROM moment m LEFT JOIN moved USING (id) LEFT JOIN job ON job.schedule = m.name;
