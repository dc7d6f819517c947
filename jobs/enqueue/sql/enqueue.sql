-- Enqueue: insert new jobs in the order given; skip a job whose key another of its kind has.
WITH incoming AS MATERIALIZED (
    SELECT w.*, nextval(pg_get_serial_sequence('jobs_job', 'id')) AS id
    FROM ROWS FROM (
        jsonb_to_recordset(%(rows)s::jsonb)
            AS (kind text, payload jsonb, priority integer, run_at timestamptz, key text, max_attempts integer,
                schedule text, scheduled_for timestamptz, "unique" text, delay double precision, start_by timestamptz,
                run_within double precision, heartbeat_within double precision, backoff double precision,
                "group" text)
    ) WITH ORDINALITY
        AS w(kind, payload, priority, run_at, key, max_attempts, schedule, scheduled_for, "unique", delay, start_by,
             run_within, heartbeat_within, backoff, "group", ord)
    ORDER BY w.ord
), added AS (
    INSERT INTO jobs_job (id, kind_id, payload, priority, run_at, key, max_attempts, schedule, scheduled_for,
                          unique_mode, start_by, run_within, heartbeat_within, backoff, group_name, gated)
    -- A payload may be JSON's null, which jsonb_to_recordset returns as SQL's NULL.
    SELECT w.id, w.kind, COALESCE(w.payload, 'null'), w.priority, {due}, w.key,
           COALESCE(w.max_attempts, k.max_attempts), w.schedule, w.scheduled_for, w."unique", {start_by},
           {own_times}, w."group", k.limited OR w."group" <> ''
    FROM incoming w JOIN jobs_jobkind k ON k.name = w.kind
    -- In this order, so that two such statements with the same keys cannot deadlock.
    ORDER BY w.kind, w.key, w.ord
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT w.ord - 1 AS position, added.id FROM incoming w LEFT JOIN added USING (id) ORDER BY w.ord;
