-- The functions of the database as jobs.0018 left them, and the triggers that call two of them.
--
-- This is what the migration runs, whatever has become of the code since. Do not change it: add a migration.

-- Exchange: whole turns of bots in one call: leases that end, well or badly, heartbeats, and a claim. A function in the
-- database.
--
-- `turns` is a JSON list of `{digest | bot, done, failed, beats, asks, most, starts, life}`. Several are turns of different bots
-- that came at the same time and ask for the same kinds; `bot_kinds` are those that the caller believes they take.
-- A row comes back for each turn that was `plain`, in which nothing was out of the ordinary: every report holds and the
-- bot is well. Of another turn nothing was done; its row, if it has one, says that the bot takes other kinds. What comes
-- to light too late fails with `serialization_failure`, and nothing of any turn was done: then each goes by itself, and
-- what is not plain by `lifecycle.exchange`.
-- Unlike a statement, each statement in a VOLATILE function sees what was committed before *it* began: so what a bot
-- holds can be counted under the bot's lock.
CREATE OR REPLACE FUNCTION jobs_turns(
    turns jsonb, bot_kinds text[], asked text[],
    priorities integer[], run_ats timestamptz[], ids bigint[],
    run_within_default interval, seen_every interval, slow interval
)
RETURNS TABLE (
    turn integer, plain boolean, takes text, kinds text[], room boolean, paused boolean, restart boolean,
    jobs text, n integer, found_all integer, wanted_all integer, took double precision, at text,
    last_priority integer, last_run_at text, last_id bigint
)
LANGUAGE plpgsql VOLATILE ROWS 1
-- Its statements are planned once for each connection, and none of them may ever read a whole table.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
-- Rows are locked in the order in which they are joined, and that is by their ids.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $function$
#variable_conflict use_column
DECLARE
    -- The plain turns by their bots' ids, the order in which rows of bots are locked. One entry for each, in every array.
    seats integer[];
    bots bigint[];
    digests bytea[];
    asking boolean[];
    starting boolean[];
    lives text[];
    reporting boolean[];
    wants integer[];
    were text[];
    overdue boolean[];
    pauses boolean[];
    restarts boolean[];
    counts integer[];
    texts text[];
    ends integer;
    failures integer;
    renewals integer;
    strangers integer[];
    strange text[];
    limited boolean;
    fine boolean;
    changed integer;
    due integer;
    most integer;
    owners integer[];
    found bigint[] := '{}';
    lane bigint[];
    i integer := 1;
    known integer := cardinality(priorities);
    rank integer;
    after_at timestamptz;
    after_id bigint;
    began timestamptz;
BEGIN
    SELECT array_agg(t.turn) FILTER (WHERE t.fine), array_agg(t.id) FILTER (WHERE t.fine),
           array_agg(t.digest) FILTER (WHERE t.fine), array_agg(t.asks) FILTER (WHERE t.fine),
           array_agg(t.most) FILTER (WHERE t.fine), array_agg(t.starts) FILTER (WHERE t.fine),
           array_agg(t.life) FILTER (WHERE t.fine), array_agg(t.reports > 0) FILTER (WHERE t.fine),
           COALESCE(sum(t.ends) FILTER (WHERE t.fine), 0), COALESCE(sum(t.failures) FILTER (WHERE t.fine), 0),
           COALESCE(sum(t.renewals) FILTER (WHERE t.fine), 0),
           array_agg(t.turn) FILTER (WHERE t.kinds <> bot_kinds),
           array_agg(array_to_json(t.kinds)::text) FILTER (WHERE t.kinds <> bot_kinds)
    INTO seats, bots, digests, asking, wants, starting, lives, reporting, ends, failures, renewals, strangers,
         strange
    FROM (
        SELECT w.*, b.id, b.kinds,
               b.id IS NOT NULL
                   AND (w.reports = 0 OR (b.health_status = 'normal' AND b.stuck_job_id IS NULL))
                   AND NOT (w.asks AND b.instance <> '' AND w.life <> '' AND b.instance <> w.life)
                   AND (b.kinds = bot_kinds OR jsonb_array_length(turns) = 1)
                   -- Seen without a lock, so that a late report among others is nobody else's trouble.
                   AND (w.reports <= CASE WHEN jsonb_array_length(turns) = 1 THEN 1 ELSE 0 END
                        OR w.reports = (
                            SELECT count(*)
                            FROM (
                                SELECT * FROM jsonb_to_recordset(w.said->'done') AS r(id bigint, attempt integer)
                                UNION ALL
                                SELECT * FROM jsonb_to_recordset(w.said->'failed') AS r(id bigint, attempt integer)
                                UNION ALL
                                SELECT * FROM jsonb_to_recordset(w.said->'beats') AS r(id bigint, attempt integer)
                            ) r
                            JOIN jobs_job j ON j.id = r.id
                            WHERE j.attempt = r.attempt
                              AND CASE WHEN r.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = b.id END
                        )) AS fine
        FROM (
            SELECT s.*, s.ends + s.failures + s.renewals AS reports
            FROM (
            SELECT said, turn::integer AS turn, decode(said->>'digest', 'hex') AS digest, (said->>'bot')::bigint AS bot,
                   (said->>'asks')::boolean AS asks, (said->>'most')::integer AS most,
                   (said->>'starts')::boolean AS starts, said->>'life' AS life,
                   COALESCE(jsonb_array_length(said->'done'), 0) AS ends,
                   COALESCE(jsonb_array_length(said->'failed'), 0) AS failures,
                   COALESCE(jsonb_array_length(said->'beats'), 0) AS renewals
            FROM jsonb_array_elements(turns) WITH ORDINALITY AS s(said, turn)
            ) s
        ) w
        LEFT JOIN LATERAL (
            SELECT b.id, b.kinds::text[], b.health_status, b.stuck_job_id, b.instance
            FROM bots_bot b WHERE w.bot IS NULL AND b.token_digest = w.digest
            UNION ALL
            SELECT b.id, b.kinds::text[], b.health_status, b.stuck_job_id, b.instance FROM bots_bot b WHERE b.id = w.bot
        ) b ON true
        ORDER BY b.id
    ) t;
    FOR i IN 1 .. COALESCE(cardinality(strangers), 0) LOOP
        IF strangers[i] <> ALL (COALESCE(seats, '{}')) THEN
            turn := strangers[i];
            plain := false;
            takes := strange[i];
            RETURN NEXT;
        END IF;
    END LOOP;
    IF seats IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(seats) > 1 THEN
        -- Nobody waits long for what only another has to wait for: then each goes by itself.
        PERFORM set_config('lock_timeout', '50ms', true);
    END IF;

    -- The jobs they report on, by id, before the bots: the order of the house. What does not hold any more is not
    -- changed, and is missed in the count.
    -- The CASE makes each condition on a job's lease one on the pair: so the planner cannot think that reading all jobs,
    -- or all that are held, is a short way to those few, and finds each by its key.
    changed := 0;
    IF ends > 0 THEN
        UPDATE jobs_job j
        SET /* Succeeded: what a lease that ends well makes of its job; l has the result. */
status = 'succeeded',
        result = l.result,
        error = '',
        started_at = COALESCE(j.started_at, statement_timestamp()),
        finished_at = statement_timestamp(),
        finished_by_id = j.claimed_by_id,
        claimed_by_id = NULL,
        deadline_at = NULL,
        progress = CASE WHEN j.progress IS NULL THEN NULL ELSE 100 END
        FROM (
            SELECT w.id, w.attempt, w.result, p.bot
            FROM unnest(seats, bots) AS p(turn, bot)
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'done') AS w(id bigint, attempt integer, result jsonb)
            ORDER BY w.id
        ) l
        WHERE j.id = l.id AND j.attempt = l.attempt
          AND CASE WHEN l.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = l.bot END;
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    IF failures > 0 AND changed = ends THEN
        WITH target AS (
            SELECT j.id, j.status, j.attempt, j.claimed_by_id, j.claimed_at, j.started_at, j.heartbeat_at, j.progress,
                   j.kind_id, w.error, k.backoff * w.wait AS delay, 0 AS uncounts, /* Again: where a job goes whose attempt failed, when w says whether it may be tried again. An attempt that was released
does not count against it; every other one does. */
CASE WHEN w.retry AND j.attempt - j.uncounted < j.max_attempts THEN 'pending' ELSE 'failed' END AS to_status
            FROM (
                SELECT w.*, p.bot
                FROM unnest(seats, bots) AS p(turn, bot)
                CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'failed')
                    AS w(id bigint, attempt integer, error text, retry boolean, wait double precision)
                ORDER BY w.id
            ) w
            JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
            JOIN jobs_jobkind k ON k.name = j.kind_id
            WHERE CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
            FOR NO KEY UPDATE OF j
        ), failed AS (
            UPDATE jobs_job j
            SET /* Ended: what a lease that ends other than well makes of its job; t says where it goes, after how long, and why. */
status = t.to_status,
        uncounted = j.uncounted + t.uncounts,
        run_at = CASE WHEN t.delay IS NULL OR t.to_status <> 'pending' THEN j.run_at
                      ELSE statement_timestamp() + t.delay END,
        finished_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE statement_timestamp() END,
        error = COALESCE(t.error, j.error),
        claimed_by_id = NULL,
        instance = '',
        deadline_at = NULL,
        claimed_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.claimed_at END,
        started_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.started_at END,
        heartbeat_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.heartbeat_at END,
        progress = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.progress END,
        progress_note = CASE WHEN t.to_status = 'pending' THEN '' ELSE j.progress_note END
            FROM target t
            WHERE j.id = t.id AND CASE WHEN t.id > 0 THEN j.attempt = t.attempt AND j.claimed_by_id = t.claimed_by_id END
            RETURNING j.id, j.attempt, t.status AS previous_status, j.status, t.claimed_by_id AS bot, t.claimed_at,
                      t.started_at, t.heartbeat_at, t.progress, t.error, j.run_at
        ), event AS (
            INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
            SELECT c.id, c.attempt, 'fail', c.previous_status, c.status, c.bot, 'bot', b.name, c.error, statement_timestamp(),
                   /* Lease detail: what the event that ended a lease keeps of it; c is the job as it was. */
jsonb_strip_nulls(jsonb_build_object(
               'error', c.error, 'claimed_at', c.claimed_at, 'started_at', c.started_at,
               'heartbeat_at', c.heartbeat_at, 'progress', c.progress))
            FROM failed c JOIN bots_bot b ON b.id = c.bot
            ORDER BY c.id
        )
        SELECT count(*), count(*) FILTER (WHERE c.status = 'pending' AND c.run_at <= statement_timestamp())
        INTO most, due
        FROM failed c;
        changed := changed + most;
        IF due > 0 THEN
            -- Their kinds have no backoff. Whoever waits may look, for any kind.
            PERFORM pg_notify('jobsite_pending', json_build_object('', due)::text);
        END IF;
    END IF;
    IF renewals > 0 AND changed = ends + failures THEN
        UPDATE jobs_job j
        SET /* Renewed: what a heartbeat makes of a job; l is the lease, with progress and a note where it gave them. */
heartbeat_at = l.heartbeat_at,
        deadline_at = /* When the sweep must look at lease l of kind k: the first limit ahead of it (bots/health.py has the grades). */
            COALESCE(
                CASE WHEN l.status = 'claimed' THEN l.claimed_at + k.start_within ELSE LEAST(
                    l.heartbeat_at + k.heartbeat_within,
                    CASE WHEN l.started_at + COALESCE(k.run_within, k.learned_run_within, run_within_default) > statement_timestamp()
                         THEN l.started_at + COALESCE(k.run_within, k.learned_run_within, run_within_default) END,
                    CASE WHEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, run_within_default) > statement_timestamp()
                         THEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, run_within_default) END
                ) END,
                statement_timestamp()
            ),
        progress = COALESCE(l.progress, j.progress),
        progress_note = COALESCE(l.note, j.progress_note)
        FROM (
            SELECT held.id, held.attempt, held.status, held.claimed_at, held.started_at, held.kind_id,
                   statement_timestamp() AS heartbeat_at, w.progress, w.note, w.bot
            FROM (
                SELECT w.*, p.bot
                FROM unnest(seats, bots) AS p(turn, bot)
                CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'beats')
                    AS w(id bigint, attempt integer, progress smallint, note text)
                ORDER BY w.id
            ) w
            JOIN jobs_job held ON held.id = w.id AND held.attempt = w.attempt
        ) l
        JOIN jobs_jobkind k ON k.name = l.kind_id
        WHERE j.id = l.id AND j.attempt = l.attempt
          AND CASE WHEN l.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = l.bot END;
        GET DIAGNOSTICS most = ROW_COUNT;
        changed := changed + most;
    END IF;
    IF changed <> ends + failures + renewals THEN
        IF changed = 0 AND cardinality(seats) = 1 THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'a lease does not hold any more' USING ERRCODE = 'serialization_failure';
    END IF;

    SELECT count(*) = cardinality(bots) AND bool_and(b.same), array_agg(b.want), array_agg(b.status), array_agg(b.overdue),
           array_agg(b.paused), array_agg(b.restart), bool_or(b.limited), min(b.kinds)
    INTO fine, wants, were, overdue, pauses, restarts, limited, kinds
    FROM (
        SELECT b.id, b.status, b.paused, b.kinds::text[], b.restart_requested_at IS NOT NULL AS restart,
               b.capacity IS NOT NULL AS limited,
               (t.digest IS NULL OR b.token_digest = t.digest)
                   AND NOT (t.reports AND (b.health_status <> 'normal' OR b.stuck_job_id IS NOT NULL))
                   AND NOT (t.asks AND b.instance <> '' AND t.life <> '' AND b.instance <> t.life)
                   AND (b.kinds::text[] = bot_kinds OR cardinality(bots) = 1) AS same,
               CASE WHEN t.asks AND NOT b.paused AND b.quarantined_at IS NULL THEN t.want ELSE 0 END AS want,
               b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - seen_every
                   OR (b.health_status <> 'normal' AND b.stuck_job_id IS NULL) AS overdue
        FROM unnest(bots, digests, reporting, asking, lives, wants) AS t(id, digest, reports, asks, life, want)
        JOIN bots_bot b ON b.id = t.id
        ORDER BY b.id
        FOR NO KEY UPDATE OF b
    ) b;
    IF fine IS NOT TRUE THEN
        RAISE EXCEPTION 'a bot has changed since its turn began' USING ERRCODE = 'serialization_failure';
    END IF;
    IF limited AND true = ANY (asking) THEN
        wants := ARRAY(
            SELECT GREATEST(0, LEAST(t.want, b.capacity - (
                SELECT count(*) FROM jobs_job j WHERE j.claimed_by_id = t.id AND j.status IN ('claimed', 'processing')
            )::integer))
            FROM unnest(bots, wants) AS t(id, want) JOIN bots_bot b ON b.id = t.id
            ORDER BY t.id
        );
    END IF;
    takes := CASE WHEN kinds <> bot_kinds THEN array_to_json(kinds)::text END;
    kinds := CASE
        WHEN cardinality(kinds) = 0 THEN asked
        WHEN asked IS NULL THEN kinds
        ELSE ARRAY(SELECT unnest(kinds) INTERSECT SELECT unnest(asked) ORDER BY 1)
    END;
    IF cardinality(kinds) = 0 THEN
        wants := array_fill(0, ARRAY[cardinality(bots)]);
    END IF;
    most := wants[1];
    FOR i IN 2 .. cardinality(wants) LOOP
        most := most + wants[i];
    END LOOP;

    IF most > 0 THEN
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
        IF known > 0 OR took > EXTRACT(epoch FROM slow) THEN
            SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
            FROM jobs_job j WHERE j.id = found[cardinality(found)];
        END IF;
    END IF;

    counts := array_fill(0, ARRAY[cardinality(bots)]);
    texts := array_fill('[]'::text, ARRAY[cardinality(bots)]);
    IF cardinality(found) > 0 THEN
        -- Where there are too few for all, each gets one before any gets a second.
        owners := CASE WHEN cardinality(bots) = 1 THEN array_fill(1, ARRAY[most]) ELSE ARRAY(
            SELECT p.place FROM unnest(wants) WITH ORDINALITY AS p(want, place) CROSS JOIN generate_series(1, p.want) AS slot
            ORDER BY slot, p.place
        ) END;
        WITH claimed AS (
            UPDATE jobs_job j
            SET /* Opened: what a claim makes of a job; l is the lease it opens, k its kind. */
status = l.status,
        attempt = j.attempt + 1,
        claimed_by_id = l.bot,
        instance = l.instance,
        claimed_at = l.claimed_at,
        started_at = l.started_at,
        heartbeat_at = l.heartbeat_at,
        deadline_at = /* When the sweep must look at lease l of kind k: the first limit ahead of it (bots/health.py has the grades). */
            COALESCE(
                CASE WHEN l.status = 'claimed' THEN l.claimed_at + k.start_within ELSE LEAST(
                    l.heartbeat_at + k.heartbeat_within,
                    CASE WHEN l.started_at + COALESCE(k.run_within, k.learned_run_within, run_within_default) > statement_timestamp()
                         THEN l.started_at + COALESCE(k.run_within, k.learned_run_within, run_within_default) END,
                    CASE WHEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, run_within_default) > statement_timestamp()
                         THEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, run_within_default) END
                ) END,
                statement_timestamp()
            ),
        progress = NULL,
        progress_note = '',
        error = ''
            FROM jobs_jobkind k
            CROSS JOIN (
                SELECT f.id, owners[f.place] AS place, bots[owners[f.place]] AS bot, lives[owners[f.place]] AS instance,
                       CASE WHEN starting[owners[f.place]] THEN 'processing' ELSE 'claimed' END AS status,
                       statement_timestamp() AS claimed_at, statement_timestamp() AS heartbeat_at,
                       CASE WHEN starting[owners[f.place]] THEN statement_timestamp() END AS started_at
                FROM unnest(found) WITH ORDINALITY AS f(id, place)
            ) l
            WHERE j.id = l.id AND k.name = j.kind_id AND CASE WHEN l.id > 0 THEN j.status = 'pending' END
            RETURNING l.place, j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key, j.run_at,
                      j.deadline_at
        ), given AS MATERIALIZED (
            SELECT c.place, count(*) AS n, json_agg(r ORDER BY r.priority DESC, r.run_at, r.id)::text AS jobs
            FROM claimed c CROSS JOIN LATERAL (
                SELECT c.id, c.kind, c.attempt, c.max_attempts, c.payload, c.priority, c.key, c.run_at, c.deadline_at
            ) r
            GROUP BY c.place
        )
        SELECT array_agg(COALESCE(g.n, 0) ORDER BY s.place), array_agg(COALESCE(g.jobs, '[]') ORDER BY s.place)
        INTO counts, texts
        FROM generate_series(1, cardinality(bots)) AS s(place) LEFT JOIN given g ON g.place = s.place;
    END IF;

    -- A bot's row is written only when that changes something or the last sight is old.
    IF true = ANY (overdue) OR 0 = ANY (counts) OR 'busy' <> ANY (were) THEN
        UPDATE bots_bot b
        SET last_seen_at = statement_timestamp(),
            status = t.becomes,
            -- It lives, and nothing it holds is stuck.
            health_status = CASE WHEN b.stuck_job_id IS NULL THEN 'normal' ELSE b.health_status END,
            health_reason = CASE WHEN b.stuck_job_id IS NULL THEN '' ELSE b.health_reason END
        FROM (
            SELECT t.id, t.overdue, CASE WHEN t.n > 0 OR EXISTS (
                SELECT FROM jobs_job j WHERE j.claimed_by_id = t.id AND j.status IN ('claimed', 'processing')
            ) THEN 'busy' ELSE 'idle' END AS becomes
            FROM unnest(bots, counts, overdue) AS t(id, n, overdue)
            OFFSET 0
        ) t
        WHERE b.id = t.id AND (t.overdue OR b.status <> t.becomes);
    END IF;

    at := statement_timestamp()::text;
    found_all := cardinality(found);
    wanted_all := most;
    plain := true;
    FOR i IN 1 .. cardinality(seats) LOOP
        turn := seats[i];
        room := wants[i] > 0;
        paused := pauses[i];
        restart := restarts[i];
        jobs := texts[i];
        n := counts[i];
        RETURN NEXT;
    END LOOP;
END
$function$;

-- Guard bot: a bot that holds jobs stays, and jobs that it completed do not name it when it is gone.
--
-- In place of foreign keys from jobs_job, which PostgreSQL would look up for each claim and each completion. A claim
-- locks its bot first: it comes before this, and is seen here, or after it, and finds no bot.
CREATE OR REPLACE FUNCTION jobs_guard_bot() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF EXISTS (SELECT FROM jobs_job j WHERE j.claimed_by_id = OLD.id) THEN
        RAISE EXCEPTION 'bot % holds jobs', OLD.name USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE jobs_job j SET finished_by_id = NULL WHERE j.finished_by_id = OLD.id;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE TRIGGER jobs_guard_bot AFTER DELETE ON bots_bot FOR EACH ROW EXECUTE FUNCTION jobs_guard_bot();

-- Guard kind: a kind that has jobs stays, and keeps its name.
--
-- In place of a foreign key from jobs_job, which PostgreSQL would look up for each new job. Who enqueues locks the kinds
-- once (kinds.sql), so that a kind cannot go between that and the new jobs.
CREATE OR REPLACE FUNCTION jobs_guard_kind() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    -- Each half has an index: `job_at_rest`, and what is held is little.
    IF EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = OLD.name
               AND j.status IN ('pending', 'succeeded', 'failed', 'cancelled'))
       OR EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = OLD.name AND j.claimed_by_id IS NOT NULL) THEN
        RAISE EXCEPTION 'kind % has jobs', OLD.name USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE TRIGGER jobs_guard_kind AFTER DELETE ON jobs_jobkind FOR EACH ROW EXECUTE FUNCTION jobs_guard_kind();
CREATE OR REPLACE TRIGGER jobs_guard_kind_name AFTER UPDATE OF name ON jobs_jobkind
FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION jobs_guard_kind();
