-- Keep what a bot reported after its lease had ended: once for each attempt, however often it is reported.
WITH happened AS (
    SELECT j.id, w.attempt, 'late' AS verb, j.status AS previous_status, j.status, %(bot)s AS bot, 'bot' AS actor,
           %(by)s AS by, w.reason, w.detail
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer, reason text, detail jsonb)
    JOIN jobs_job j ON j.id = w.id
    -- It stays until this is written; one that is being deleted is let go.
    FOR KEY SHARE OF j SKIP LOCKED
)
{event}
ON CONFLICT (job_id, attempt) WHERE verb = 'late' DO NOTHING;
