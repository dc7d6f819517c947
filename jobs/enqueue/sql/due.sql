/* Due: from when on new job w may be claimed. */
COALESCE(w.run_at, statement_timestamp() + COALESCE(make_interval(secs => w.delay), '0'))
