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
SET {succeeded}
FROM target l
WHERE j.id = l.id AND j.status IN ('claimed', 'processing') AND j.attempt = l.attempt AND j.claimed_by_id = %(bot)s
RETURNING j.id, j.attempt, j.status;
