-- Flag: say in the history, once for each attempt, that leases are past all their limits. Nothing else changes.
INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
SELECT j.id, j.attempt, 'flag', j.status, j.status, j.claimed_by_id, %(actor)s, %(by)s, w.reason,
       statement_timestamp(), '{}'
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, reason text)
JOIN jobs_job j ON j.id = w.id
-- COALESCE hides the condition from the planner, as in end.sql.
WHERE COALESCE(j.status IN ('claimed', 'processing'), false)
  AND NOT EXISTS (SELECT FROM jobs_jobevent e WHERE e.job_id = j.id AND e.attempt = j.attempt AND e.verb = 'flag')
RETURNING job_id AS id;
