/* Jobs claimed: the next due jobs for these bots, by priority, then by age; where there are too few for all, each bot
gets one before any gets a second. None of a paused kind, none beyond a bot's capacity, and of gated kinds what their
limits allow. */
IF locked.limited THEN
        wants := ARRAY(
            SELECT GREATEST(0, LEAST(t.want, b.capacity - (
                SELECT count(*) FROM jobs_job j WHERE j.claimed_by_id = t.id
            )::integer))
            FROM unnest(bots, wants) AS t(id, want) JOIN bots_bot b ON b.id = t.id
            ORDER BY t.id
        );
    END IF;
    -- Not one expression: one that has a query in it is a query.
    IF cardinality(locked.kinds) = 0 THEN
        kinds := asked;
    ELSIF asked IS NULL THEN
        kinds := locked.kinds;
    ELSE
        kinds := ARRAY(SELECT unnest(locked.kinds) INTERSECT SELECT unnest(asked) ORDER BY 1);
    END IF;
    IF cardinality(kinds) = 0 THEN
        wants := array_fill(0, ARRAY[cardinality(wants)]);
    END IF;
    wanted_all := 0;
    FOREACH n IN ARRAY wants LOOP
        wanted_all := wanted_all + n;
    END LOOP;
    IF wanted_all > 0 THEN
        began := clock_timestamp();
        {jobs_picked}
        found_all := cardinality(picked);
        took := date_part('epoch', clock_timestamp() - began);
        at := statement_timestamp()::text;
        IF cardinality(priorities) > 0 OR took > date_part('epoch', slow) THEN
            SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
            FROM jobs_job j WHERE j.id = picked[found_all];
        END IF;
        {jobs_gates}
    END IF;
    IF cardinality(picked) > 0 THEN
        IF cardinality(wants) = 1 THEN
            turn_of := array_fill(1, ARRAY[wanted_all]);
        ELSE
            turn_of := ARRAY(
                SELECT p.place
                FROM unnest(wants) WITH ORDINALITY AS p(want, place) CROSS JOIN generate_series(1, p.want) AS slot
                ORDER BY slot, p.place
            );
        END IF;
        WITH claimed AS (
            UPDATE jobs_job j
            SET {opened}
            FROM jobs_jobkind k
            CROSS JOIN (
                SELECT p.id, p.n, turn_of[p.n] AS place, bots[turn_of[p.n]] AS bot, instances[turn_of[p.n]] AS instance,
                       CASE WHEN starting[turn_of[p.n]] THEN 'processing' ELSE 'claimed' END AS status,
                       COALESCE(gated_at, statement_timestamp()) AS claimed_at,
                       COALESCE(gated_at, statement_timestamp()) AS heartbeat_at,
                       CASE WHEN starting[turn_of[p.n]] THEN COALESCE(gated_at, statement_timestamp()) END AS started_at,
                       COALESCE((SELECT s.epoch FROM jobsite_site s WHERE s.id = 1), 0) AS epoch
                FROM unnest(picked) WITH ORDINALITY AS p(id, n)
            ) l
            WHERE j.id = l.id AND k.name = j.kind_id AND CASE WHEN l.id > 0 THEN j.status = 'pending' END
              -- Not where the first limit of its kind was set since it was picked.
              AND (j.gated OR NOT k.limited)
            RETURNING l.place, l.n, j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key,
                      j.run_at, j.deadline_at, {lease_for} AS lease_for
        ), given AS MATERIALIZED (
            SELECT c.place, count(*) AS n, json_agg(r ORDER BY c.n)::text AS jobs
            FROM claimed c CROSS JOIN LATERAL (
                SELECT c.id, c.kind, c.attempt, c.max_attempts, c.payload, c.priority, c.key,
                       jobs_moment(c.run_at) AS run_at, jobs_moment(c.deadline_at) AS deadline_at,
                       c.lease_for
            ) r
            GROUP BY c.place
        )
        SELECT array_agg(COALESCE(g.n, 0) ORDER BY s.place), array_agg(g.jobs ORDER BY s.place)
        INTO counts, texts
        FROM generate_series(1, cardinality(wants)) AS s(place) LEFT JOIN given g ON g.place = s.place;
    END IF;
