-- Grade: set the health of bots as their leases show it, with the reason. The caller has locked the bots' rows.
UPDATE bots_bot b
SET health_status = w.status,
    health_reason = w.reason,
    stuck_job_id = w.stuck_job,
    health_checked_at = statement_timestamp()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, status text, reason text, stuck_job bigint)
WHERE b.id = w.id;
