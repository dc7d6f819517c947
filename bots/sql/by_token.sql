-- By token: the bot of a token. `news`: whether there is something to write about a call of it, as `jobs.lifecycle.see`
-- does: it was not seen for long, it was down, or it is not healthy and holds nothing that it is stuck on.
SELECT b.*,
       b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - %(seen_every)s OR b.status = 'down'
           OR (b.health_status <> 'normal' AND b.stuck_job_id IS NULL) AS news
FROM bots_bot b
WHERE b.token_digest = %(digest)s;
