/* Gated candidates: the kinds that may have a job that may go, the one whose next job goes first before the others. What
the shared lane has for all goes before the next jobs of those left out. */
candidates := ARRAY(
        SELECT k.name
        FROM (
            SELECT g.kind_id, g.limited_no FROM jobs_gate g WHERE g.group_name = '' AND g.open
            UNION ALL
            SELECT g.kind_id, g.limited_no FROM jobs_gate g WHERE g.group_name = '' AND NOT g.open AND g.due_at <= at
            UNION
            SELECT g.kind_id, g.limited_no FROM jobs_gate g WHERE g.group_name = '' AND g.kind_id = ANY (shut)
        ) g
        JOIN jobs_jobkind k ON k.name = g.kind_id
        WHERE want > 0 AND NOT k.paused AND (NOT k.limited OR k.limited_no = g.limited_no)
          AND (taken IS NULL OR k.name = ANY (taken))
        ORDER BY k.name
    );
    IF cardinality(candidates) > 0 AND GREATEST(cardinality(shared), cardinality(candidates) - 1) >= want THEN
        SELECT j.priority, j.run_at, j.id INTO beaten FROM jobs_job j WHERE j.id = shared[want];
        SELECT COALESCE(array_agg(c.kind ORDER BY first.priority DESC NULLS FIRST, first.run_at, first.id), '{}'),
               count(*) FILTER (WHERE first.priority IS NULL)
        INTO candidates, unknown
        FROM unnest(candidates) AS c(kind) JOIN jobs_jobkind k ON k.name = c.kind
        LEFT JOIN LATERAL (
            (SELECT j.priority, '-infinity'::timestamptz AS run_at, 0::bigint AS id FROM jobs_job j
             WHERE NOT k.fair AND j.status = 'pending' AND j.gated AND j.kind_id = c.kind
             ORDER BY j.priority DESC LIMIT 1)
            UNION ALL
            -- A group that has none is unknown: its kind is read once, and the group sleeps.
            SELECT j.priority, j.run_at, j.id FROM (
                (SELECT g.group_name FROM jobs_gate g
                 WHERE k.fair AND g.kind_id = c.kind AND g.open AND g.group_name <> ''
                 ORDER BY g.round_no, g.group_name LIMIT 1)
                UNION ALL
                (SELECT g.group_name FROM jobs_gate g
                 WHERE k.fair AND g.kind_id = c.kind AND NOT g.open AND g.group_name <> '' AND g.due_at <= at
                 ORDER BY g.due_at LIMIT 1)
            ) g
            LEFT JOIN LATERAL jobs_of_group(c.kind, g.group_name, 1, false, at, asking) j ON true
            UNION ALL
            SELECT j.priority, j.run_at, j.id FROM jobs_of_group(c.kind, '', 1, false, at, asking) j WHERE k.fair
            ORDER BY 1 DESC NULLS FIRST, 2, 3 LIMIT 1
        ) first ON true
        WHERE beaten.id IS NULL OR first.priority IS NULL
           OR (-first.priority, first.run_at, first.id) < (-beaten.priority, beaten.run_at, beaten.id);
        others := candidates[want + unknown + 1:];
        candidates := candidates[:want + unknown];
    END IF;
