-- Enqueue: insert new jobs in the order given; skip a job whose key exists for its kind.
WITH incoming AS MATERIALIZED (
    SELECT w.ord, nextval(pg_get_serial_sequence('jobs_job', 'id')) AS id, w.kind, w.payload, w.priority, w.run_at,
           w.key, w.max_attempts, w.schedule, w.scheduled_for, w."group"
    FROM ROWS FROM (
        jsonb_to_recordset(%(rows)s::jsonb)
            AS (kind text, payload jsonb, priority integer, run_at timestamptz, key text, max_attempts integer,
                schedule text, scheduled_for timestamptz, "group" text)
    ) WITH ORDINALITY
        AS w(kind, payload, priority, run_at, key, max_attempts, schedule, scheduled_for, "group", ord)
    ORDER BY w.ord
), added AS (
    INSERT INTO jobs_job (id, kind_id, payload, priority, run_at, key, max_attempts, schedule, scheduled_for, group_name,
                          gated)
    -- A payload may be JSON's null, which jsonb_to_recordset returns as SQL's NULL.
    SELECT w.id, w.kind, COALESCE(w.payload, 'null'), w.priority, COALESCE(w.run_at, statement_timestamp()), w.key,
           COALESCE(w.max_attempts, k.max_attempts), w.schedule, w.scheduled_for, w."group", k.limited OR w."group" <> ''
    FROM incoming w JOIN jobs_jobkind k ON k.name = w.kind
    -- In this order, so that two such statements with the same keys cannot deadlock.
    ORDER BY w.kind, w.key, w.ord
    ON CONFLICT (kind_id, key) WHERE key IS NOT NULL DO NOTHING
    RETURNING id
)
SELECT w.ord - 1 AS position, added.id FROM incoming w LEFT JOIN added USING (id) ORDER BY w.ord;
