/* Jobs picked: the next due jobs of these kinds (NULL: any), locked; one that somebody else has locked, or gets
first, is passed over.
A priority at a time, highest first. First those at which the caller knows where to begin (`priorities`, and the places
`run_ats` and `ids` there), then whatever the index has below them. */
IF kinds IS NOT NULL THEN
        unpaused := ARRAY(SELECT wanted FROM unnest(kinds) AS wanted
                          WHERE NOT COALESCE(wanted = ANY (ARRAY({closed_kinds})), false));
    END IF;
    LOOP
        IF i <= cardinality(priorities) THEN
            at_priority := priorities[i];
            after_at := run_ats[i];
            after_id := ids[i];
        ELSE
            after_at := '-infinity';
            after_id := 0;
            IF kinds IS NULL THEN
                at_priority := (SELECT j.priority FROM jobs_job j
                                WHERE j.status = 'pending' AND NOT j.gated AND j.priority < at_priority
                                ORDER BY j.priority DESC LIMIT 1);
            ELSE
                at_priority := (SELECT max(p.priority) FROM unnest(unpaused) AS wanted CROSS JOIN LATERAL (
                                    SELECT j.priority FROM jobs_job j
                                    WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = wanted AND j.priority < at_priority
                                    ORDER BY j.priority DESC LIMIT 1
                                ) p);
            END IF;
            EXIT WHEN at_priority IS NULL;
        END IF;
        i := i + 1;
        IF kinds IS NULL THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND NOT j.gated AND j.priority = at_priority AND j.run_at <= statement_timestamp()
                  AND (j.run_at, j.id) > (after_at, after_id) AND {elsewhere}
                  AND NOT COALESCE(j.kind_id = ANY (ARRAY({closed_kinds})), false)
                ORDER BY j.run_at, j.id
                LIMIT wanted_all - cardinality(picked)
                FOR NO KEY UPDATE OF j SKIP LOCKED
            );
        ELSIF cardinality(unpaused) = 1 THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = unpaused[1] AND j.priority = at_priority
                  AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                  AND {elsewhere}
                ORDER BY j.run_at, j.id
                LIMIT wanted_all - cardinality(picked)
                FOR NO KEY UPDATE OF j SKIP LOCKED
            );
        ELSE
            -- The kinds' own orders, merged: which are next is seen first, and then they are locked.
            LOOP
                SELECT array_agg(next.id), (array_agg(next.run_at ORDER BY next.run_at DESC, next.id DESC))[1],
                       (array_agg(next.id ORDER BY next.run_at DESC, next.id DESC))[1]
                INTO next_ids, after_at, after_id
                FROM (
                    SELECT due.id, due.run_at FROM unnest(unpaused) AS wanted CROSS JOIN LATERAL (
                        SELECT j.id, j.run_at FROM jobs_job j
                        WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = wanted AND j.priority = at_priority
                          AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                          AND {elsewhere}
                        ORDER BY j.run_at, j.id
                        LIMIT wanted_all - cardinality(picked)
                    ) due
                    ORDER BY due.run_at, due.id
                    LIMIT wanted_all - cardinality(picked)
                ) next;
                EXIT WHEN next_ids IS NULL;
                picked := picked || ARRAY(
                    SELECT j.id FROM jobs_job j
                    WHERE j.id = ANY (next_ids) AND j.status = 'pending' AND NOT j.gated AND j.run_at <= statement_timestamp()
                    ORDER BY j.run_at, j.id
                    FOR NO KEY UPDATE OF j SKIP LOCKED
                );
                EXIT WHEN cardinality(picked) >= wanted_all;
            END LOOP;
        END IF;
        EXIT WHEN cardinality(picked) >= wanted_all;
    END LOOP;
