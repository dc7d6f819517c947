-- Heartbeat: a bot renews its leases, with progress and a note where it gave them.
WITH lease AS (
    SELECT j.id, j.status, j.claimed_at, j.started_at, statement_timestamp() AS heartbeat_at, j.kind_id,
           w.attempt, w.progress, w.note
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer, progress integer, note text)
    JOIN jobs_job j ON j.id = w.id
    WHERE j.status IN ('claimed', 'processing') AND j.attempt = w.attempt AND j.claimed_by_id = %(bot)s
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
)
UPDATE jobs_job j
SET {renewed}
FROM lease l JOIN jobs_jobkind k ON k.name = l.kind_id
WHERE j.id = l.id AND j.status IN ('claimed', 'processing') AND j.attempt = l.attempt AND j.claimed_by_id = %(bot)s
RETURNING j.id, j.attempt, j.status, j.deadline_at;
