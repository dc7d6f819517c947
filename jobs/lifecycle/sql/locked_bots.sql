/* Locked bots: the rows of the known turns' bots, locked by id, and what each may have now. `odd`: what has changed since
the look-up, or that the bot is stuck on a job; `moved`: its instances have. */
SELECT array_agg(CASE WHEN b.odd = 'revoked' THEN 0 ELSE b.want END) AS wants,
           array_agg(b.status) AS statuses, array_agg(b.due AND b.odd IS DISTINCT FROM 'revoked') AS due,
           array_agg(b.paused) AS paused, array_agg(b.odd) AS odd, bool_or(b.limited) AS limited,
           bool_or(b.moved) AS moved,
           CASE WHEN cardinality(bots) = 1 THEN min(b.kinds) ELSE bot_kinds END AS kinds
    INTO locked
    FROM (
        SELECT b.id, b.status, {paused} OR t.halted AS paused, b.kinds::text[], b.capacity IS NOT NULL AS limited,
               t.want > 0 AND b.instances_changed_at IS DISTINCT FROM t.changed_at AS moved,
               CASE
                   WHEN t.digest IS NOT NULL AND b.token_digest IS DISTINCT FROM t.digest THEN 'revoked'
                   WHEN t.reports AND b.stuck_job_id IS NOT NULL THEN 'stuck'
               END AS odd,
               CASE WHEN {paused} OR t.halted OR t.restart OR (b.kinds::text[] <> bot_kinds AND cardinality(bots) > 1)
                    THEN 0 ELSE LEAST(t.probe, t.want) END AS want,
               t.always OR b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - seen_every
                   OR (b.health_status <> 'normal' AND (b.stuck_job_id IS NULL OR t.reports)) AS due
        FROM unnest(bots, known.digests, known.wants, known.always, known.reporting, known.restarts, known.halted,
                    known.changed_at, known.probes)
            AS t(id, digest, want, always, reports, restart, halted, changed_at, probe)
        JOIN bots_bot b ON b.id = t.id
        ORDER BY b.id
        FOR NO KEY UPDATE OF b
    ) b;
    IF cardinality(locked.wants) IS DISTINCT FROM cardinality(bots)
       OR ('stuck' = ANY (locked.odd) AND NOT known.grades) THEN
        RAISE EXCEPTION 'a bot was graded or deleted since its turn began' USING ERRCODE = 'serialization_failure';
    END IF;
