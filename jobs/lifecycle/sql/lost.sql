-- What became of leases that are no longer this bot's: the event that ended each, and the job as it is now.
SELECT w.id, w.attempt, j.id IS NOT NULL AS found, j.status, j.attempt AS job_attempt, j.finished_by_id, j.finished_at,
       e.verb, e.actor, e.by, e.reason, e.at, e.bot_id, e.detail ->> 'error' AS error
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, attempt integer)
LEFT JOIN jobs_job j ON j.id = w.id
LEFT JOIN LATERAL (
    SELECT verb, actor, by, reason, at, bot_id, detail FROM jobs_jobevent
    WHERE job_id = w.id AND attempt = w.attempt AND bot_id = %(bot)s
      AND verb IN ('release', 'expire', 'fail', 'cancel')
    ORDER BY id DESC
    LIMIT 1
) e ON true;
