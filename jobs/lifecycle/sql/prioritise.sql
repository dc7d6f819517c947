-- Prioritise: set the priority of jobs that have not ended. One that has it already does not change.
WITH target AS (
    SELECT id, priority FROM jobs_job
    WHERE id = ANY (%(ids)s::bigint[]) AND status = ANY (%(from)s::text[]) AND priority <> %(priority)s
    ORDER BY id
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_job j
    SET priority = %(priority)s
    FROM target t
    -- By the states and not the target's state: a job that was claimed while we waited for its lock is changed all the
    -- same.
    WHERE j.id = t.id AND j.status = ANY (%(from)s::text[])
    RETURNING j.id, j.attempt, j.status AS previous_status, j.status, j.claimed_by_id AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for, t.priority AS before
), happened AS (
    SELECT c.*, 'prioritise' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason,
           jsonb_build_object('from', before, 'to', %(priority)s) AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
