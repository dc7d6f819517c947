-- Settle: bots whose leases have changed are busy while they hold a job and idle when they hold none.
-- Health goes back to normal with the job it was about, unless %(keep)s says that it must stay (an expiry).
UPDATE bots_bot b
SET status = now.status,
    health_status = CASE WHEN now.cured THEN 'normal' ELSE b.health_status END,
    health_reason = CASE WHEN now.cured THEN '' ELSE b.health_reason END,
    stuck_job_id = CASE WHEN now.still_stuck THEN b.stuck_job_id END
FROM (
    SELECT o.id,
           CASE WHEN held.n > 0 THEN 'busy' ELSE 'idle' END AS status,
           held.still_stuck,
           NOT held.still_stuck AND NOT %(keep)s AS cured
    FROM bots_bot o
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, COALESCE(bool_or(j.id = o.stuck_job_id), false) AS still_stuck
        FROM jobs_job j
        -- Held if and only if somebody holds it (constraint job_held_has_lease). With the status, too, PostgreSQL might
        -- take the index of deadlines, and read all that is held for each bot.
        WHERE j.claimed_by_id = o.id
    ) held
    WHERE o.id = ANY (%(bots)s::bigint[])
) now
WHERE b.id = now.id
  AND (b.status, b.stuck_job_id IS NOT NULL, b.health_status)
      IS DISTINCT FROM
      (now.status, now.still_stuck, CASE WHEN now.cured THEN 'normal' ELSE b.health_status END)
RETURNING b.id, b.status;
