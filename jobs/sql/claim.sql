-- Claim: the next due jobs for one bot, highest priority first and then the longest due; each opens an attempt.
WITH next AS (
    SELECT j.id
    FROM jobs_job j
    WHERE j.status = 'pending'
      AND j.run_at <= statement_timestamp()
      AND (%(kinds)s::text[] IS NULL OR j.kind_id = ANY (%(kinds)s::text[]))
      -- COALESCE hides the comparison from the planner: it takes an array it has not seen for ten kinds, believes that
      -- next to nothing is left of a house with few kinds, and reads and sorts every pending job for each claim.
      AND NOT COALESCE(j.kind_id = ANY (ARRAY(SELECT name FROM jobs_jobkind WHERE paused)), false)
    ORDER BY j.priority DESC, j.run_at, j.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF j SKIP LOCKED
), lease AS (
    SELECT j.id,
           CASE WHEN %(start)s THEN 'processing' ELSE 'claimed' END AS status,
           statement_timestamp() AS claimed_at,
           CASE WHEN %(start)s THEN statement_timestamp() END AS started_at,
           statement_timestamp() AS heartbeat_at,
           j.kind_id
    FROM jobs_job j JOIN next USING (id)
)
UPDATE jobs_job j
SET status = l.status,
    attempt = j.attempt + 1,
    claimed_by_id = %(bot)s,
    instance = %(instance)s,
    claimed_at = l.claimed_at,
    started_at = l.started_at,
    heartbeat_at = l.heartbeat_at,
    deadline_at = {deadline},
    progress = NULL,
    progress_note = '',
    error = ''
FROM lease l JOIN jobs_jobkind k ON k.name = l.kind_id
WHERE j.id = l.id AND j.status = 'pending'
RETURNING j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key, j.run_at, j.deadline_at;
