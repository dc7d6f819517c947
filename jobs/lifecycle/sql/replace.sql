-- Replace: give jobs that nobody has had, and that keep their key only until then, what their producers sent last.
WITH target AS (
    SELECT j.id, j.status, j.attempt, j.priority, j.run_at, w.payload, w.priority AS new_priority,
           COALESCE(w.max_attempts, k.max_attempts) AS new_max_attempts, w.new_run_at, w.run_within, w.heartbeat_within,
           w.backoff, COALESCE(w.start_by, GREATEST(w.new_run_at, j.created_at) + k.drop_after) AS new_start_by,
           COALESCE(w."group", '') AS new_group, k.limited OR COALESCE(w."group", '') <> '' AS new_gated
    FROM (
        SELECT *, COALESCE(run_at, statement_timestamp() + COALESCE(make_interval(secs => delay), '0')) AS new_run_at
        FROM jsonb_to_recordset(%(rows)s::jsonb)
            AS w(id bigint, payload jsonb, priority integer, run_at timestamptz, max_attempts integer,
                 delay double precision, start_by timestamptz, run_within double precision,
                 heartbeat_within double precision, backoff double precision, "group" text)
    ) AS w
    JOIN jobs_job j ON j.id = w.id
    JOIN jobs_jobkind k ON k.name = j.kind_id
    WHERE j.status = ANY (%(from)s::text[]) AND j.attempt = 0 AND j.unique_mode = 'pending'
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
), changed AS (
    UPDATE jobs_job j
    -- A payload may be JSON's null, as in `enqueue.sql`.
    SET payload = COALESCE(t.payload, 'null'), priority = t.new_priority, run_at = t.new_run_at,
        max_attempts = t.new_max_attempts, start_by = t.new_start_by,
        run_within = make_interval(secs => t.run_within), heartbeat_within = make_interval(secs => t.heartbeat_within),
        backoff = make_interval(secs => t.backoff), group_name = t.new_group, gated = t.new_gated
    FROM target t
    WHERE j.id = t.id AND j.status = t.status AND j.attempt = t.attempt
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for, t.priority AS priority_before, j.priority, t.run_at AS run_at_before
), happened AS (
    SELECT c.*, 'replace' AS verb, %(actor)s AS actor, %(by)s AS by, '' AS reason,
           jsonb_build_object(
               'priority', jsonb_build_array(c.priority_before, c.priority),
               'run_at', jsonb_build_array(jobs_moment(c.run_at_before), jobs_moment(c.run_at))
           ) AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
