-- Exchange: a bot's whole turn in one call: leases that end well, heartbeats, and a claim. A function in the database.
--
-- Only for a turn in which nothing is out of the ordinary: every report holds and the bot is well. Otherwise it changes
-- nothing and says so (`plain` false), or, when that comes to light too late, fails with `serialization_failure`; then
-- `lifecycle.exchange` is the way. Unlike a statement, each statement in a VOLATILE function sees what was committed
-- before *it* began: so what the bot holds can be counted under the bot's lock.
CREATE OR REPLACE FUNCTION jobs_exchange(
    bot bigint, digest bytea, done jsonb, beats jsonb,
    asks boolean, most integer, asked text[], starts boolean, life text,
    priorities integer[], run_ats timestamptz[], ids bigint[],
    run_within_default interval, seen_every interval, slow interval,
    OUT plain boolean, OUT takes text[], OUT kinds text[], OUT room boolean, OUT paused boolean, OUT restart boolean,
    OUT jobs text, OUT n integer,
    OUT took double precision, OUT at text, OUT last_priority integer, OUT last_run_at text, OUT last_id bigint
)
LANGUAGE plpgsql VOLATILE
-- Its statements are planned once for each connection, and none of them may ever read a whole table.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $function$
#variable_conflict use_column
DECLARE
    me bots_bot%ROWTYPE;
    reports integer := COALESCE(jsonb_array_length(done), 0) + COALESCE(jsonb_array_length(beats), 0);
    number bigint;
    held integer;
    found bigint[] := '{}';
    lane bigint[];
    i integer := 1;
    known integer := cardinality(priorities);
    rank integer;
    after_at timestamptz;
    after_id bigint;
    began timestamptz;
    becomes text;
BEGIN
    plain := false;
    n := 0;
    jobs := '[]';
    room := false;
    at := statement_timestamp()::text;
    IF bot IS NULL THEN
        SELECT b.id, b.health_status, b.stuck_job_id, b.instance INTO me.id, me.health_status, me.stuck_job_id, me.instance
        FROM bots_bot b WHERE b.token_digest = digest;
    ELSE
        SELECT b.id, b.health_status, b.stuck_job_id, b.instance INTO me.id, me.health_status, me.stuck_job_id, me.instance
        FROM bots_bot b WHERE b.id = bot;
    END IF;
    number := me.id;
    IF number IS NULL OR (reports > 0 AND (me.health_status <> 'normal' OR me.stuck_job_id IS NOT NULL))
       OR (asks AND me.instance <> '' AND life <> '' AND me.instance <> life) THEN
        RETURN;
    END IF;

    -- The jobs it reports on, by id, before the bot: the order of the house. One job needs no order.
    -- COALESCE hides the rest from the planner: they are found by their keys, and not by reading all that is held.
    IF reports > 1 THEN
        PERFORM FROM jobs_job j
        JOIN (
            SELECT w.id, w.attempt FROM jsonb_to_recordset(done) AS w(id bigint, attempt integer)
            UNION ALL
            SELECT w.id, w.attempt FROM jsonb_to_recordset(beats) AS w(id bigint, attempt integer)
        ) w ON w.id = j.id
        WHERE COALESCE(j.status, '') IN ('claimed', 'processing') AND j.attempt = w.attempt
          AND COALESCE(j.claimed_by_id, 0) = number
        ORDER BY j.id
        FOR NO KEY UPDATE OF j;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held <> reports THEN
            RETURN;
        END IF;
    END IF;
    IF jsonb_array_length(done) > 0 THEN
        UPDATE jobs_job j
        SET {succeeded}
        FROM jsonb_to_recordset(done) AS l(id bigint, attempt integer, result jsonb)
        WHERE j.id = l.id AND COALESCE(j.status, '') IN ('claimed', 'processing') AND j.attempt = l.attempt
          AND COALESCE(j.claimed_by_id, 0) = number;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held <> jsonb_array_length(done) THEN
            -- The only report, and nothing was written. Several are locked by now, and hold.
            RETURN;
        END IF;
    END IF;
    IF jsonb_array_length(beats) > 0 THEN
        UPDATE jobs_job j
        SET {renewed}
        FROM (
            SELECT held.id, held.attempt, held.status, held.claimed_at, held.started_at, held.kind_id,
                   statement_timestamp() AS heartbeat_at, w.progress, w.note
            FROM jsonb_to_recordset(beats) AS w(id bigint, attempt integer, progress smallint, note text)
            JOIN jobs_job held ON held.id = w.id AND held.attempt = w.attempt
        ) l
        JOIN jobs_jobkind k ON k.name = l.kind_id
        WHERE j.id = l.id AND COALESCE(j.status, '') IN ('claimed', 'processing') AND j.attempt = l.attempt
          AND COALESCE(j.claimed_by_id, 0) = number;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held <> jsonb_array_length(beats) THEN
            -- The only report, and nothing was written. Several are locked by now, and hold.
            RETURN;
        END IF;
    END IF;

    SELECT b.* INTO me FROM bots_bot b WHERE b.id = number AND (digest IS NULL OR b.token_digest = digest)
    FOR NO KEY UPDATE;
    IF me.id IS NULL OR (reports > 0 AND (me.health_status <> 'normal' OR me.stuck_job_id IS NOT NULL))
       OR (asks AND me.instance <> '' AND life <> '' AND me.instance <> life) THEN
        RAISE EXCEPTION 'bot % has changed since its turn began', number USING ERRCODE = 'serialization_failure';
    END IF;
    plain := true;
    paused := me.paused;
    restart := me.restart_requested_at IS NOT NULL;
    takes := me.kinds;
    kinds := CASE
        WHEN cardinality(me.kinds) = 0 THEN asked
        WHEN asked IS NULL THEN me.kinds
        ELSE ARRAY(SELECT unnest(me.kinds) INTERSECT SELECT unnest(asked) ORDER BY 1)
    END;

    IF asks AND NOT me.paused AND me.quarantined_at IS NULL AND (kinds IS NULL OR cardinality(kinds) > 0) THEN
        IF me.capacity IS NOT NULL THEN
            most := LEAST(most, me.capacity - (
                SELECT count(*) FROM jobs_job j
                WHERE j.claimed_by_id = number AND j.status IN ('claimed', 'processing')
            ));
        END IF;
        room := most > 0;
    END IF;
    IF room THEN
        IF kinds IS NOT NULL THEN
            kinds := ARRAY(SELECT wanted FROM unnest(kinds) AS wanted
                           WHERE NOT EXISTS (SELECT FROM jobs_jobkind k WHERE k.name = wanted AND k.paused));
        END IF;
        began := clock_timestamp();
        rank := 2147483647;
        -- A priority at a time, highest first. First those whose floor is known, then whatever the index has below.
        LOOP
            IF i <= known THEN
                rank := priorities[i];
                after_at := run_ats[i];
                after_id := ids[i];
            ELSE
                after_at := '-infinity';
                after_id := 0;
                IF kinds IS NULL THEN
                    rank := (SELECT j.priority FROM jobs_job j WHERE j.status = 'pending' AND j.priority < rank
                             ORDER BY j.priority DESC LIMIT 1);
                ELSE
                    rank := (SELECT max(p.priority) FROM unnest(kinds) AS wanted CROSS JOIN LATERAL (
                                 SELECT j.priority FROM jobs_job j
                                 WHERE j.status = 'pending' AND j.kind_id = wanted AND j.priority < rank
                                 ORDER BY j.priority DESC LIMIT 1
                             ) p);
                END IF;
                EXIT WHEN rank IS NULL;
            END IF;
            i := i + 1;
            IF kinds IS NULL THEN
                lane := ARRAY(
                    SELECT j.id FROM jobs_job j
                    WHERE j.status = 'pending' AND j.priority = rank AND j.run_at <= statement_timestamp()
                      AND (j.run_at, j.id) > (after_at, after_id)
                      AND NOT COALESCE(j.kind_id = ANY (ARRAY(SELECT k.name FROM jobs_jobkind k WHERE k.paused)), false)
                    ORDER BY j.run_at, j.id
                    LIMIT most - cardinality(found)
                    FOR NO KEY UPDATE OF j SKIP LOCKED
                );
                found := found || lane;
            ELSIF cardinality(kinds) = 1 THEN
                lane := ARRAY(
                    SELECT j.id FROM jobs_job j
                    WHERE j.status = 'pending' AND j.kind_id = kinds[1] AND j.priority = rank
                      AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                    ORDER BY j.run_at, j.id
                    LIMIT most - cardinality(found)
                    FOR NO KEY UPDATE OF j SKIP LOCKED
                );
                found := found || lane;
            ELSE
                -- The kinds' own orders, merged: which are next is seen first, and then they are locked.
                LOOP
                    SELECT array_agg(next.id), (array_agg(next.run_at ORDER BY next.run_at DESC, next.id DESC))[1],
                           (array_agg(next.id ORDER BY next.run_at DESC, next.id DESC))[1]
                    INTO lane, after_at, after_id
                    FROM (
                        SELECT due.id, due.run_at FROM unnest(kinds) AS wanted CROSS JOIN LATERAL (
                            SELECT j.id, j.run_at FROM jobs_job j
                            WHERE j.status = 'pending' AND j.kind_id = wanted AND j.priority = rank
                              AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                            ORDER BY j.run_at, j.id
                            LIMIT most - cardinality(found)
                        ) due
                        ORDER BY due.run_at, due.id
                        LIMIT most - cardinality(found)
                    ) next;
                    EXIT WHEN lane IS NULL;
                    found := found || ARRAY(
                        SELECT j.id FROM jobs_job j
                        WHERE j.id = ANY (lane) AND j.status = 'pending' AND j.run_at <= statement_timestamp()
                        ORDER BY j.run_at, j.id
                        FOR NO KEY UPDATE OF j SKIP LOCKED
                    );
                    EXIT WHEN cardinality(found) >= most;
                END LOOP;
            END IF;
            EXIT WHEN cardinality(found) >= most;
        END LOOP;
        took := EXTRACT(epoch FROM clock_timestamp() - began);
        n := cardinality(found);
        IF known > 0 OR took > EXTRACT(epoch FROM slow) THEN
            SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
            FROM jobs_job j WHERE j.id = found[n];
        END IF;
    END IF;

    IF n > 0 THEN
        WITH claimed AS (
            UPDATE jobs_job j
            SET {opened}
            FROM jobs_jobkind k
            CROSS JOIN (
                SELECT CASE WHEN starts THEN 'processing' ELSE 'claimed' END AS status, number AS bot, life AS instance,
                       statement_timestamp() AS claimed_at, statement_timestamp() AS heartbeat_at,
                       CASE WHEN starts THEN statement_timestamp() END AS started_at
            ) l
            WHERE j.id = ANY (found) AND j.status = 'pending' AND k.name = j.kind_id
            RETURNING j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key, j.run_at,
                      j.deadline_at
        )
        SELECT count(*), json_agg(c ORDER BY c.priority DESC, c.run_at, c.id)::text INTO n, jobs FROM claimed c;
    END IF;

    becomes := 'busy';
    IF n = 0 AND NOT EXISTS (
        SELECT FROM jobs_job j WHERE j.claimed_by_id = number AND j.status IN ('claimed', 'processing')
    ) THEN
        becomes := 'idle';
    END IF;
    -- Its row is written only when that changes something or the last sight is old.
    IF me.status <> becomes OR me.last_seen_at IS NULL OR me.last_seen_at < statement_timestamp() - seen_every
       OR (me.health_status <> 'normal' AND me.stuck_job_id IS NULL) THEN
        UPDATE bots_bot b
        SET last_seen_at = statement_timestamp(),
            status = becomes,
            -- It lives, and nothing it holds is stuck.
            health_status = CASE WHEN b.stuck_job_id IS NULL THEN 'normal' ELSE b.health_status END,
            health_reason = CASE WHEN b.stuck_job_id IS NULL THEN '' ELSE b.health_reason END
        WHERE b.id = number;
    END IF;
END
$function$;
