/* Holder cleared: what a job loses when its lease ends, well or not. The constraint job_held_has_lease asks for it. */
claimed_by_id = NULL,
        deadline_at = NULL
