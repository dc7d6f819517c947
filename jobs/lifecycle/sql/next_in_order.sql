/* Next in order: the jobs that were found, in the order in which they go. Those of one group are. A kind without any
sleeps. */
IF total > 0 AND cardinality(names) > 1 THEN
        SELECT array_agg(o.id ORDER BY o.n), array_agg(o.priority ORDER BY o.n), array_agg(o.run_at ORDER BY o.n),
               array_agg(o.grp ORDER BY o.n)
        INTO ids, priorities, run_ats, grps
        FROM (
            SELECT j.*, row_number() OVER (
                ORDER BY CASE WHEN policy.fair THEN j.place END, CASE WHEN policy.fair THEN j.grp END,
                         j.priority DESC, j.run_at, j.id
            ) AS n
            FROM unnest(ids, priorities, run_ats, grps, places) AS j(id, priority, run_at, grp, place)
        ) o
        WHERE o.n <= want;
    ELSIF total = 0 AND NOT EXISTS (SELECT FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> '') THEN
        PERFORM jobs_sleep(policy.gate, LEAST(jobs_due_next(of_kind, ''), (
            SELECT g.due_at FROM jobs_gate g
            WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at < 'infinity'
            ORDER BY g.due_at LIMIT 1
        )), false, at);
    END IF;
    IF total > 0 AND NOT policy.fair THEN
        -- They are not locked yet: of many groups more were read than may go.
        SELECT array_agg(o.id), array_agg(o.priority), array_agg(o.run_at), array_agg(o.grp)
        INTO ids, priorities, run_ats, grps
        FROM (
            SELECT w.* FROM unnest(ids, priorities, run_ats, grps) WITH ORDINALITY AS w(id, priority, run_at, grp, n)
            JOIN jobs_job j ON j.id = w.id AND CASE WHEN w.id > 0 THEN j.status = 'pending' AND j.gated
                AND j.group_name = w.grp AND j.run_at <= at END
            ORDER BY w.n
            FOR NO KEY UPDATE OF j SKIP LOCKED
        ) o;
    END IF;
