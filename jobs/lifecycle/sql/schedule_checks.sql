-- Schedule checks: set when the sweep checks these leases next, in seconds from now, if they are held and due still.
UPDATE jobs_job j
SET deadline_at = statement_timestamp() + make_interval(secs => w.seconds)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, seconds double precision)
-- COALESCE hides the condition from the planner, as in end.sql.
WHERE j.id = w.id AND COALESCE(j.status IN ('claimed', 'processing') AND j.deadline_at <= statement_timestamp(), false);
