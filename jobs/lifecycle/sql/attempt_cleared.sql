/* Attempt cleared: what an attempt leaves on a job goes where t sends the job back to pending, which is then as a new one.
A job that has ended keeps it, but for the name of the process. */
finished_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE statement_timestamp() END,
        claimed_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.claimed_at END,
        started_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.started_at END,
        heartbeat_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.heartbeat_at END,
        progress = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.progress END,
        progress_note = CASE WHEN t.to_status = 'pending' THEN '' ELSE j.progress_note END,
        instance = ''
