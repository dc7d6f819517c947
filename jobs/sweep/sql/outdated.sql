-- Outdated: bots that are not healthy, hold jobs and are to be graded again, by id: those that this sweep has not
-- graded, unless the job that each is stuck on still has the same grade, and was graded when its age was nine tenths of
-- what it is. Its age is that of the signal past its limit (bots/health.py), silent before overdue.
SELECT b.id
FROM bots_bot b
WHERE b.health_status IN ('potentially_stuck', 'unhealthy')
  AND (b.stuck_job_id IS NULL OR b.health_checked_at IS NULL OR b.health_checked_at < %(began)s)
  -- Not EXISTS, which may be answered by a hash table of all jobs.
  AND (SELECT true FROM jobs_job j WHERE j.claimed_by_id = b.id LIMIT 1)
  AND (SELECT true
       FROM jobs_job j
       CROSS JOIN LATERAL (SELECT * FROM jobs_jobkind WHERE name = j.kind_id LIMIT 1) k
       CROSS JOIN LATERAL (
           SELECT statement_timestamp() - CASE WHEN j.status = 'claimed' THEN j.claimed_at ELSE j.heartbeat_at END AS silent,
                  statement_timestamp() - j.started_at AS running,
                  CASE WHEN j.status = 'claimed' THEN k.start_within ELSE COALESCE(j.heartbeat_within, k.heartbeat_within)
                  END AS silent_limit,
                  COALESCE(j.run_within, k.run_within, k.learned_run_within, %(run_within)s) AS run_limit
       ) a
       CROSS JOIN LATERAL (
           SELECT CASE WHEN a.silent >= {unhealthy_at} * a.silent_limit OR a.running >= {unhealthy_at} * a.run_limit
                       THEN 'unhealthy'
                       WHEN a.silent >= a.silent_limit OR a.running >= a.run_limit THEN 'potentially_stuck'
                       ELSE 'normal' END AS status,
                  CASE WHEN a.silent >= a.silent_limit OR a.running IS NULL THEN a.silent ELSE a.running END AS age
       ) g
       WHERE j.id = b.stuck_job_id AND j.claimed_by_id = b.id AND g.status = b.health_status
         AND statement_timestamp() - b.health_checked_at < g.age / 10
       LIMIT 1) IS NOT TRUE
ORDER BY b.id;
