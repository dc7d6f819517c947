/* Ended: what a lease that ends other than well makes of its job; t says where it goes, after how long, and why. */
status = t.to_status,
        uncounted = j.uncounted + t.uncounts,
        run_at = CASE WHEN t.delay IS NULL OR t.to_status <> 'pending' THEN j.run_at
                      ELSE statement_timestamp() + t.delay END,
        finished_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE statement_timestamp() END,
        error = COALESCE(t.error, j.error),
        claimed_by_id = NULL,
        instance = '',
        deadline_at = NULL,
        claimed_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.claimed_at END,
        started_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.started_at END,
        heartbeat_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.heartbeat_at END,
        progress = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.progress END,
        progress_note = CASE WHEN t.to_status = 'pending' THEN '' ELSE j.progress_note END
