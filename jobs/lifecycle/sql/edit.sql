-- Edit: change when pending jobs are due, or what they carry. What is not given stays, and a job that has it already
-- does not change.
WITH target AS (
    SELECT j.id, j.status, j.attempt, j.run_at, j.payload,
           COALESCE(%(run_at)s::timestamptz, j.run_at) AS new_run_at,
           COALESCE(%(payload)s::jsonb, j.payload) AS new_payload
    FROM jobs_job j
    WHERE j.id = ANY (%(ids)s::bigint[]) AND j.status = ANY (%(from)s::text[])
    ORDER BY j.id
    FOR NO KEY UPDATE
), changed AS (
    UPDATE jobs_job j
    SET run_at = t.new_run_at, payload = t.new_payload
    FROM target t
    WHERE j.id = t.id AND j.status = t.status AND j.attempt = t.attempt
      AND (t.run_at <> t.new_run_at OR t.payload <> t.new_payload)
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for, t.run_at AS run_at_before, t.payload <> t.new_payload AS has_other_payload
), happened AS (
    SELECT c.*, 'edit' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason,
           jsonb_strip_nulls(jsonb_build_object(
               'run_at', CASE WHEN c.run_at <> c.run_at_before
                              THEN jsonb_build_array(jobs_moment(c.run_at_before), jobs_moment(c.run_at)) END,
               'payload', NULLIF(c.has_other_payload, false)
           )) AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
