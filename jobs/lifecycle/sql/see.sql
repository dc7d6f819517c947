-- See: a bot has called. Its row is written only when that changes something or the last sight is old.
UPDATE bots_bot b
SET last_seen_at = statement_timestamp(),
    version = COALESCE(%(version)s, b.version),
    status = CASE WHEN EXISTS (SELECT FROM jobs_job j
                               WHERE j.claimed_by_id = b.id)
                  THEN 'busy' ELSE 'idle' END,
    -- It lives. What it holds is graded by itself; with nothing left to complain of, the bot is well.
    health_status = CASE WHEN b.stuck_job_id IS NULL THEN 'normal' ELSE b.health_status END,
    health_reason = CASE WHEN b.stuck_job_id IS NULL THEN '' ELSE b.health_reason END
WHERE b.id = %(bot)s
  AND (%(always)s
       OR b.last_seen_at IS NULL
       OR b.last_seen_at < statement_timestamp() - %(every)s
       OR b.status = 'down'
       OR (b.health_status <> 'normal' AND b.stuck_job_id IS NULL));
