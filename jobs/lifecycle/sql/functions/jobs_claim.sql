-- Claim: the next due jobs for these bots, whose rows the caller has locked: by priority, then by age, and where there
-- are too few for all, each bot gets one before any gets a second. None of a paused kind, and none beyond a bot's
-- capacity. `wants`, `counts` and `texts` have an entry for each bot; `texts` are its jobs, as JSON.
CREATE OR REPLACE FUNCTION jobs_claim(
    bots bigint[], INOUT wants integer[], starting boolean[], instances text[], limited boolean, INOUT kinds text[],
    asked text[], priorities integer[], run_ats timestamptz[], ids bigint[], run_within_default interval, slow interval,
    OUT counts integer[], OUT texts text[], OUT found_all integer, OUT wanted_all integer, OUT took double precision,
    OUT last_priority integer, OUT last_run_at text, OUT last_id bigint
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    picked bigint[];
    turn_of integer[];
    began timestamptz;
    want integer;
BEGIN
    IF limited THEN
        wants := ARRAY(
            SELECT GREATEST(0, LEAST(t.want, b.capacity - (
                SELECT count(*) FROM jobs_job j WHERE j.claimed_by_id = t.id
            )::integer))
            FROM unnest(bots, wants) AS t(id, want) JOIN bots_bot b ON b.id = t.id
            ORDER BY t.id
        );
    END IF;
    kinds := CASE
        WHEN cardinality(kinds) = 0 THEN asked
        WHEN asked IS NULL THEN kinds
        ELSE ARRAY(SELECT unnest(kinds) INTERSECT SELECT unnest(asked) ORDER BY 1)
    END;
    IF cardinality(kinds) = 0 THEN
        wants := array_fill(0, ARRAY[cardinality(bots)]);
    END IF;
    counts := array_fill(0, ARRAY[cardinality(bots)]);
    wanted_all := 0;
    FOREACH want IN ARRAY wants LOOP
        wanted_all := wanted_all + want;
    END LOOP;
    found_all := 0;
    IF wanted_all = 0 THEN
        RETURN;
    END IF;

    began := clock_timestamp();
    picked := jobs_pick(wanted_all, kinds, priorities, run_ats, ids);
    found_all := cardinality(picked);
    took := EXTRACT(epoch FROM clock_timestamp() - began);
    IF cardinality(priorities) > 0 OR took > EXTRACT(epoch FROM slow) THEN
        SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
        FROM jobs_job j WHERE j.id = picked[found_all];
    END IF;
    IF found_all = 0 THEN
        RETURN;
    END IF;

    turn_of := CASE WHEN cardinality(bots) = 1 THEN array_fill(1, ARRAY[wanted_all]) ELSE ARRAY(
        SELECT p.place FROM unnest(wants) WITH ORDINALITY AS p(want, place) CROSS JOIN generate_series(1, p.want) AS slot
        ORDER BY slot, p.place
    ) END;
    WITH claimed AS (
        UPDATE jobs_job j
        SET {opened}
        FROM jobs_jobkind k
        CROSS JOIN (
            SELECT p.id, turn_of[p.n] AS place, bots[turn_of[p.n]] AS bot, instances[turn_of[p.n]] AS instance,
                   CASE WHEN starting[turn_of[p.n]] THEN 'processing' ELSE 'claimed' END AS status,
                   statement_timestamp() AS claimed_at, statement_timestamp() AS heartbeat_at,
                   CASE WHEN starting[turn_of[p.n]] THEN statement_timestamp() END AS started_at
            FROM unnest(picked) WITH ORDINALITY AS p(id, n)
        ) l
        WHERE j.id = l.id AND k.name = j.kind_id AND CASE WHEN l.id > 0 THEN j.status = 'pending' END
        RETURNING l.place, j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key, j.run_at,
                  j.deadline_at
    ), given AS MATERIALIZED (
        SELECT c.place, count(*) AS n, json_agg(r ORDER BY c.priority DESC, c.run_at, c.id)::text AS jobs
        FROM claimed c CROSS JOIN LATERAL (
            SELECT c.id, c.kind, c.attempt, c.max_attempts, c.payload, c.priority, c.key,
                   jobs_moment(c.run_at) AS run_at, jobs_moment(c.deadline_at) AS deadline_at
        ) r
        GROUP BY c.place
    )
    SELECT array_agg(COALESCE(g.n, 0) ORDER BY s.place), array_agg(g.jobs ORDER BY s.place)
    INTO counts, texts
    FROM generate_series(1, cardinality(bots)) AS s(place) LEFT JOIN given g ON g.place = s.place;
END
$function$;
