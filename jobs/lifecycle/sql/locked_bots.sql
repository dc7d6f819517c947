/* Locked bots: the rows of the known turns' bots, locked by id, and what each may have now. */
SELECT array_agg(b.want) AS wants, array_agg(b.status) AS statuses, array_agg(b.due) AS due,
           array_agg(b.paused) AS paused, array_agg(b.restart) AS restarts, array_agg(b.revoked) AS revoked,
           array_agg(b.replaced) AS replaced, array_agg(b.instance) AS instances, array_agg(b.stuck) AS stuck,
           array_agg(CASE WHEN b.kinds <> bot_kinds THEN array_to_json(b.kinds)::text END) AS takes,
           bool_or(b.limited) AS limited, min(b.kinds) AS kinds, bool_or(b.ungraded) AS ungraded
    INTO locked
    FROM (
        SELECT b.*, CASE WHEN b.free AND NOT b.revoked AND NOT b.replaced THEN b.asks ELSE 0 END AS want
        FROM (
            SELECT b.id, b.status, b.paused, b.instance, b.kinds::text[], b.capacity IS NOT NULL AS limited,
                   t.want AS asks, b.restart_requested_at IS NOT NULL AS restart, b.stuck_job_id IS NOT NULL AS stuck,
                   t.digest IS NOT NULL AND b.token_digest IS DISTINCT FROM t.digest AS revoked,
                   t.want > 0 AND b.instance <> '' AND t.instance <> '' AND b.instance <> t.instance AS replaced,
                   NOT b.paused AND b.quarantined_at IS NULL
                       AND (b.kinds::text[] = bot_kinds OR cardinality(known.bots) = 1) AS free,
                   t.always OR t.version IS NOT NULL OR b.last_seen_at IS NULL
                       OR b.last_seen_at < statement_timestamp() - seen_every
                       OR (b.health_status <> 'normal' AND b.stuck_job_id IS NULL)
                       OR (t.reports AND b.stuck_job_id IS NOT NULL) AS due,
                   t.reports AND b.stuck_job_id IS NOT NULL AND NOT t.grades AS ungraded
            FROM unnest(known.bots, known.digests, known.instances, known.wants, known.versions, known.always,
                        known.reporting, known.grading)
                AS t(id, digest, instance, want, version, always, reports, grades)
            JOIN bots_bot b ON b.id = t.id
            ORDER BY b.id
            FOR NO KEY UPDATE OF b
        ) b
    ) b;
    IF locked.ungraded OR cardinality(locked.wants) IS DISTINCT FROM cardinality(known.bots) THEN
        RAISE EXCEPTION 'a bot was graded or deleted since its turn began' USING ERRCODE = 'serialization_failure';
    END IF;
