-- Start: a claimed job's bot begins to work on it. Saying so twice changes nothing the second time.
WITH lease AS (
    SELECT j.id, 'processing' AS status, j.claimed_at,
           COALESCE(j.started_at, statement_timestamp()) AS started_at,
           statement_timestamp() AS heartbeat_at, j.kind_id, w.attempt
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer)
    JOIN jobs_job j ON j.id = w.id
    WHERE j.status IN ('claimed', 'processing') AND j.attempt = w.attempt AND j.claimed_by_id = %(bot)s
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
)
UPDATE jobs_job j
SET status = l.status, started_at = l.started_at, heartbeat_at = l.heartbeat_at, deadline_at = {deadline}
FROM lease l JOIN jobs_jobkind k ON k.name = l.kind_id
WHERE j.id = l.id AND j.status IN ('claimed', 'processing') AND j.attempt = l.attempt AND j.claimed_by_id = %(bot)s
RETURNING j.id, j.attempt, j.status, j.deadline_at;
