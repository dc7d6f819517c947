/* Opened: what a claim makes of a job; l is the lease it opens, k its kind. A pending job has nothing else of the attempt
before it (attempt_cleared.sql). */
status = l.status,
        attempt = j.attempt + 1,
        claimed_by_id = l.bot,
        instance = l.instance,
        claimed_at = l.claimed_at,
        started_at = l.started_at,
        heartbeat_at = l.heartbeat_at,
        deadline_at = {deadline},
        error = ''
