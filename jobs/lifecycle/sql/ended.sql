/* Ended: the changes to a job whose lease ends without success; t has the next status, the delay and the error. */
status = t.to_status,
        uncounted = j.uncounted + t.uncounts,
        run_at = CASE WHEN t.delay IS NULL OR t.to_status <> 'pending' THEN j.run_at
                      ELSE statement_timestamp() + t.delay END,
        error = COALESCE(t.error, j.error),
        {holder_cleared},
        {attempt_cleared}
