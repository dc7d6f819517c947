/* Opened: the changes to a job that is claimed; l is its new lease, k its kind. A pending job keeps nothing else of its
last attempt (attempt_cleared.sql). */
status = l.status,
        attempt = {attempt_opened},
        claimed_by_id = l.bot,
        instance = l.instance,
        claimed_at = l.claimed_at,
        started_at = l.started_at,
        heartbeat_at = l.heartbeat_at,
        deadline_at = {deadline},
        error = ''
