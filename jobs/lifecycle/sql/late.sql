-- Keep what a bot reported after its lease had ended: once for each attempt, however often it says so.
INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
SELECT j.id, w.attempt, 'late', j.status, j.status, %(bot)s, 'bot', %(by)s, w.reason, statement_timestamp(), w.detail
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer, reason text, detail jsonb)
JOIN jobs_job j ON j.id = w.id
-- It stays until this is written; one that is being deleted is let go.
FOR KEY SHARE OF j SKIP LOCKED
ON CONFLICT (job_id, attempt) WHERE verb = 'late' DO NOTHING;
