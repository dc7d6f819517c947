-- Complete: leases end well, with their results.
WITH target AS (
    SELECT j.id, w.attempt, w.result
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer, result jsonb)
    JOIN jobs_job j ON j.id = w.id
    WHERE j.status IN ('claimed', 'processing') AND j.attempt = w.attempt AND j.claimed_by_id = %(bot)s
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
)
UPDATE jobs_job j
SET status = 'succeeded',
    result = t.result,
    error = '',
    started_at = COALESCE(j.started_at, statement_timestamp()),
    finished_at = statement_timestamp(),
    finished_by_id = j.claimed_by_id,
    claimed_by_id = NULL,
    deadline_at = NULL,
    progress = CASE WHEN j.progress IS NULL THEN NULL ELSE 100 END
FROM target t
WHERE j.id = t.id AND j.status IN ('claimed', 'processing') AND j.attempt = t.attempt AND j.claimed_by_id = %(bot)s
RETURNING j.id, j.attempt, j.status;
