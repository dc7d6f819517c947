-- Flag: record in the history, once for each attempt, that leases are past all their limits. Nothing else changes.
WITH happened AS (
    SELECT j.id, j.attempt, 'flag' AS verb, j.status AS previous_status, j.status, j.claimed_by_id AS bot,
           %(actor)s AS actor, %(by)s AS by, w.reason, '{}'::jsonb AS detail
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, reason text)
    JOIN jobs_job j ON j.id = w.id
    -- COALESCE hides the condition from the planner, as in end.sql.
    WHERE COALESCE(j.status = ANY (%(from)s::text[]), false)
      AND NOT EXISTS (SELECT FROM jobs_jobevent e WHERE e.job_id = j.id AND e.attempt = j.attempt AND e.verb = 'flag')
)
{event}
RETURNING job_id AS id;
