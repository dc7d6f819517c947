/* Succeeded: what a lease that ends well makes of its job; l has the result. */
status = 'succeeded',
        result = l.result,
        error = '',
        started_at = COALESCE(j.started_at, statement_timestamp()),
        finished_at = statement_timestamp(),
        finished_by_id = j.claimed_by_id,
        claimed_by_id = NULL,
        deadline_at = NULL,
        progress = CASE WHEN j.progress IS NULL THEN NULL ELSE 100 END
