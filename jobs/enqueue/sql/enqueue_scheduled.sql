-- Enqueue scheduled: insert the job of a schedule's moment, with its occurrence and the next moment, if nothing is special.
-- Nothing is inserted if the schedule was changed or locked since it was read, a job of it has not ended, a job has its
-- key, or its kind is new or bounded. Whatever changes a schedule, or adds a job of it by hand, writes its row (`xmin`).
WITH moment AS MATERIALIZED (
    SELECT s.id, s.name, s.kind, s.payload, s.priority, s.key, s.overlap, s.next_at
    FROM jobs_schedule s
    WHERE s.id = %(schedule)s AND s.xmin = %(version)s::xid
    FOR NO KEY UPDATE SKIP LOCKED
), kind AS MATERIALIZED (
    SELECT k.name, k.max_attempts, k.drop_after
    FROM moment m JOIN jobs_jobkind k ON k.name = m.kind AND k.max_pending IS NULL
    FOR KEY SHARE OF k
), job AS (
    INSERT INTO jobs_job (kind_id, payload, priority, run_at, key, max_attempts, schedule, scheduled_for, start_by)
    SELECT m.kind, m.payload, m.priority, statement_timestamp(), NULLIF(m.key, ''), k.max_attempts, m.name, m.next_at,
           statement_timestamp() + k.drop_after
    FROM moment m JOIN kind k ON k.name = m.kind
    WHERE m.overlap = 'allow' OR NOT EXISTS (
        SELECT FROM jobs_job j
        WHERE j.schedule = m.name AND j.schedule <> '' AND j.status IN ('pending', 'claimed', 'processing')
    )
    ON CONFLICT DO NOTHING
    RETURNING id
), occurrence AS (
    INSERT INTO jobs_scheduleoccurrence (schedule_id, due_at, until_at, fate, job_id)
    SELECT m.id, m.next_at, m.next_at, 'enqueued', j.id FROM moment m, job j
)
UPDATE jobs_schedule s SET next_at = %(next_at)s
FROM job j
WHERE s.id = %(schedule)s
RETURNING j.id;
