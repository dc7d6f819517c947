/* Holder cleared: clear what only a held job has, as the constraint job_held_has_lease requires. */
claimed_by_id = NULL,
        deadline_at = NULL
