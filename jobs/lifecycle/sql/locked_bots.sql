/* Locked bots: the rows of the known turns' bots, locked by id, and what each may have now. `odd`: what has changed since
the look-up, or that the turn reports on the job that its bot is stuck on; `moved`: the bot's instances have. */
SELECT array_agg(CASE WHEN b.odd = 'revoked' THEN 0 ELSE b.want END) AS wants,
           array_agg(b.status) AS statuses, array_agg(b.due AND b.odd IS DISTINCT FROM 'revoked') AS due,
           array_agg(b.paused) AS paused, array_agg(b.odd) AS odd, bool_or(b.limited) AS limited,
           bool_or(b.moved) AS moved,
           CASE WHEN cardinality(bots) = 1 THEN min(b.kinds) ELSE bot_kinds END AS kinds
    INTO locked
    FROM (
        SELECT b.id, b.status, {paused} OR w.halted AS paused, b.kinds::text[], b.capacity IS NOT NULL AS limited,
               w.want > 0 AND b.instances_changed_at IS DISTINCT FROM w.changed_at AS moved,
               CASE
                   WHEN w.digest IS NOT NULL AND b.token_digest IS DISTINCT FROM w.digest THEN 'revoked'
                   WHEN {about_stuck} THEN 'stuck'
               END AS odd,
               CASE WHEN {paused} OR w.halted OR w.restart OR (b.kinds::text[] <> bot_kinds AND cardinality(bots) > 1)
                    THEN 0 ELSE LEAST(w.probe, w.want) END AS want,
               w.always OR b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - seen_every
                   OR (b.health_status <> 'normal' AND (b.stuck_job_id IS NULL OR {about_stuck})) AS due
        FROM unnest(bots, known.turns, known.digests, known.wants, known.always, known.restarts, known.halted,
                    known.changed_at, known.probes)
            AS w(id, turn, digest, want, always, restart, halted, changed_at, probe)
        JOIN bots_bot b ON b.id = w.id
        ORDER BY b.id
        FOR NO KEY UPDATE OF b
    ) b;
    IF cardinality(locked.wants) IS DISTINCT FROM cardinality(bots)
       OR ('stuck' = ANY (locked.odd) AND NOT known.grades) THEN
        RAISE EXCEPTION 'a bot was graded or deleted since its turn began' USING ERRCODE = 'serialization_failure';
    END IF;
