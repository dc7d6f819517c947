-- Turns: execute turns of bots in one call: the reports of each, then its claim. Returns one row for each known bot.
--
-- `turns` is a JSON list, each turn as `known_turns.sql` reads it. Several are turns of different bots that came at
-- the same time and ask for the same kinds; `bot_kinds` are those that the caller expects them to take. `outcome` is
-- `done`, or why nothing of a turn was done: `replaced` (a newer instance has come in its place, or it called goodbye),
-- `other_kinds` (the bot takes other kinds than expected: send it alone), `stuck` (it reports on the job that the bot is
-- stuck on: send it with `grades`, and grade the bot in the same transaction).
-- Each statement in a VOLATILE function sees what was committed before *it* began: so the jobs that a bot holds can be
-- counted under the bot's lock.
CREATE OR REPLACE FUNCTION jobs_turns(
    turns jsonb, bot_kinds text[], asked text[],
    priorities integer[], run_ats timestamptz[], ids bigint[],
    run_within_default interval, seen_every interval, slow interval
)
RETURNS TABLE (
    turn integer, outcome text, bot bigint, name text, instance text, takes text, kinds text[], room boolean,
    paused boolean, restart boolean, grade boolean, jobs text, n integer, changes text, refused text,
    found_all integer, wanted_all integer, took double precision, at text,
    last_priority integer, last_run_at text, last_id bigint, opened text, opens_in double precision, shut boolean
)
LANGUAGE plpgsql VOLATILE ROWS 1
-- These hold for all that it calls, too. Statements are planned once for each connection, and none may ever read a
-- whole table or be compiled.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
-- Rows are locked in the order in which they are joined, and that is by their ids.
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET lock_timeout = '3s'
AS $function$
#variable_conflict use_column
DECLARE
    known record; locked record;
    again record; part record;
    bots bigint[]; -- One entry for each known turn, by the ids of their bots; so in the next arrays.
    instances text[];
    starting boolean[];
    wants integer[];
    counts integer[];
    texts text[];
    versions text[];
    newer text[]; -- In whose place a newer instance has come since the look-up: its name, empty where it just ended.
    refusals text[];
    -- The reports that held, but for completions, and what they changed.
    done_turns integer[];
    done_ids bigint[];
    changed jsonb;
    held integer := 0;
    picked bigint[] := '{}';
    gated_at timestamptz; -- When jobs of gated kinds were claimed.
    ended_kinds text[]; ended_groups text[]; ended_added boolean[]; -- Of gated jobs whose leases ended here.
    unpaused text[]; next_ids bigint[];
    turn_of integer[];
    at_priority integer := 2147483647;
    after_id bigint; after_at timestamptz;
    began timestamptz; touched boolean;
    i integer := 1;
BEGIN
    SELECT array_agg(t.turn) FILTER (WHERE t.fine) AS turns, array_agg(t.id) FILTER (WHERE t.fine) AS bots,
           array_agg(t.name) FILTER (WHERE t.fine) AS names, array_agg(t.digest) FILTER (WHERE t.fine) AS digests,
           array_agg(t.instance) FILTER (WHERE t.fine) AS instances, array_agg(t.want) FILTER (WHERE t.fine) AS wants,
           array_agg(t.starts) FILTER (WHERE t.fine) AS starting, array_agg(t.always) FILTER (WHERE t.fine) AS always,
           array_agg(t.reports) FILTER (WHERE t.fine) AS reporting, bool_or(t.grades) AS grades,
           array_agg(t.own) FILTER (WHERE t.fine) AS own, array_agg(t.restart) FILTER (WHERE t.fine) AS restarts,
           array_agg(t.instances_changed_at) FILTER (WHERE t.fine) AS changed_at,
           array_agg(t.stale) FILTER (WHERE t.fine) AS stale, array_agg(t.halted) FILTER (WHERE t.fine) AS halted,
           array_agg(t.own_id) FILTER (WHERE t.fine) AS own_ids, array_agg(t.probe) FILTER (WHERE t.fine) AS probes,
           bool_or(t.probe IS NOT NULL) FILTER (WHERE t.fine) AS probing,
           COALESCE(sum(t.completions) FILTER (WHERE t.fine), 0) AS completions,
           COALESCE(sum(t.endings) FILTER (WHERE t.fine), 0) AS endings,
           COALESCE(sum(t.renewals) FILTER (WHERE t.fine), 0) AS renewals,
           jsonb_agg(jsonb_build_object(
               'turn', t.turn, 'outcome', t.outcome, 'bot', t.id, 'name', t.name, 'instance', t.newer,
               'takes', array_to_json(t.kinds)::text, 'paused', t.paused, 'restart', t.restart
           )) FILTER (WHERE NOT t.fine) AS others
    INTO known
    FROM (
        SELECT w.*, w.outcome = 'done' AS fine, COALESCE(w.unseen, false) OR w.restart AND w.own = '' AS stale
        FROM (
            SELECT w.*, b.id, b.name, b.kinds, b.paused OR i.paused IS TRUE AS paused, i.paused IS TRUE AS halted,
                   b.instances_changed_at, COALESCE(i.name, '') AS own,
                   i.id AS own_id, CASE WHEN i.quarantined_at IS NOT NULL THEN (
                        i.probe_at <= statement_timestamp()
                        AND (SELECT true FROM jobs_job j
                             WHERE j.claimed_by_id = b.id AND j.instance = ANY (ARRAY[i.name, w.instance])
                               AND j.claimed_at > i.quarantined_at
                             LIMIT 1) IS NULL
                    )::integer END AS probe, COALESCE(i.newer, CASE WHEN COALESCE(i.name, '') = '' AND w.instance <> b.instance AND w.instance <> ''
                                     THEN NULLIF(b.instance, '') END) AS newer,
                   COALESCE(i.restart_requested_at IS NOT NULL AND (i.name <> '' OR w.want > 0 OR NOT w.reports), false)
                       AS restart,
                   CASE WHEN i.name IS NULL THEN w.want > 0
                        ELSE w.always OR i.last_seen_at < statement_timestamp() - seen_every
                             OR (w.want > 0 AND i.asked_kinds::text[] IS DISTINCT FROM asked)
                             OR (i.slots, i.slots_lost) <> (w.slots, w.slots_lost)
                             OR (i.slots IS NULL AND w.slots IS NOT NULL)
                   END AS unseen,
                   CASE
                       WHEN (w.want > 0 OR NOT w.reports) AND COALESCE(i.newer, CASE WHEN COALESCE(i.name, '') = '' AND w.instance <> b.instance AND w.instance <> ''
                                     THEN NULLIF(b.instance, '') END) IS NOT NULL THEN 'replaced'
                       WHEN (b.stuck_job_id IS NOT NULL
                            AND jsonb_path_exists(turns->(w.turn - 1), '$.*[*].id ? (@ == $job)',
                                                  jsonb_build_object('job', b.stuck_job_id))) AND NOT w.grades THEN 'stuck'
                       WHEN b.kinds <> bot_kinds AND jsonb_array_length(turns) > 1 THEN 'other_kinds'
                       ELSE 'done'
                   END AS outcome
            FROM (
                SELECT s.*, s.completions + s.endings + s.renewals > 0 AS reports
                FROM (
                    SELECT turn::integer AS turn, decode(s.sent->>'digest', 'hex') AS digest,
                           (s.sent->>'bot')::bigint AS bot, s.sent->>'instance' AS instance,
                           (s.sent->>'limit')::integer AS want,
                           (s.sent->>'starts')::boolean AS starts, s.sent ?| '{always,version}' AS always,
                           s.sent ? 'grades' AS grades, (s.sent->'slots'->>0)::integer AS slots,
                           (s.sent->'slots'->>1)::integer AS slots_lost,
                           COALESCE(jsonb_array_length(s.sent->'complete'), 0) AS completions,
                           COALESCE(jsonb_array_length(s.sent->'fail'), 0)
                               + COALESCE(jsonb_array_length(s.sent->'release'), 0) AS endings,
                           COALESCE(jsonb_array_length(s.sent->'heartbeat'), 0)
                               + COALESCE(jsonb_array_length(s.sent->'start'), 0) AS renewals
                    FROM jsonb_array_elements(turns) WITH ORDINALITY AS s(sent, turn)
                ) s
                OFFSET 0 -- So each value is computed once, and not at each place that uses it.
            ) w
            CROSS JOIN LATERAL (
                SELECT b.id, b.name, b.kinds::text[], b.stuck_job_id, b.instances_changed_at, b.instance, (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) AS paused
                FROM bots_bot b WHERE w.bot IS NULL AND b.token_digest = w.digest
                UNION ALL
                SELECT b.id, b.name, b.kinds::text[], b.stuck_job_id, b.instances_changed_at, b.instance, (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) AS paused
                FROM bots_bot b WHERE b.id = w.bot
            ) b
            LEFT JOIN LATERAL (SELECT i.id, i.name, i.restart_requested_at, i.last_seen_at, i.asked_kinds, i.slots, i.slots_lost, i.quarantined_at, i.probe_at,
                       i.paused AND COALESCE(i.paused_until > statement_timestamp(), true) AS paused,
                       CASE WHEN i.ended_at IS NOT NULL THEN i.replaced_by END AS newer
                FROM bots_instance i
                WHERE i.bot_id = b.id AND i.name = ANY (ARRAY[w.instance, '']) AND w.instance IS NOT NULL
                ORDER BY i.name DESC LIMIT 1) i ON true
            ORDER BY b.id
        ) w
        OFFSET 0
    ) t;
    IF known.others IS NOT NULL THEN
        RETURN QUERY SELECT o.turn, o.outcome, o.bot, o.name, o.instance, o.takes, NULL::text[], false, o.paused,
                            o.restart, false, '[]', 0, NULL, NULL, NULL::integer, NULL::integer, NULL::double precision,
                            NULL, NULL::integer, NULL, NULL::bigint, NULL, NULL::double precision, false
        FROM jsonb_to_recordset(known.others)
            AS o(turn integer, outcome text, bot bigint, name text, instance text, takes text, paused boolean,
                 restart boolean);
    END IF;
    IF known.turns IS NULL THEN
        RETURN;
    END IF;
    bots := known.bots;
    instances := known.instances;
    starting := known.starting;
    IF cardinality(bots) > 1 THEN
        -- Nobody waits long for what only another has to wait for: then each goes by itself.
        PERFORM set_config('lock_timeout', '50ms', true);
    END IF;

    -- The jobs they report on before the bots.
    IF (known.completions > 0)::integer + (known.endings > 0)::integer + (known.renewals > 0)::integer > 1 THEN
        PERFORM FROM (
            SELECT w.id, w.attempt, p.bot
            FROM unnest(known.turns, known.bots) AS p(turn, bot)
            CROSS JOIN unnest('{complete,fail,release,start,heartbeat}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb) AS w(id bigint, attempt integer)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
        FOR NO KEY UPDATE OF j;
    END IF;
    IF known.completions > 0 THEN
        WITH done AS (
        UPDATE jobs_job j
        SET status = 'succeeded',
            result = w.result,
            error = '',
            started_at = COALESCE(j.started_at, statement_timestamp()),
            finished_at = statement_timestamp(),
            finished_by_id = j.claimed_by_id,
            claimed_by_id = NULL,
        deadline_at = NULL,
            progress = CASE WHEN j.progress IS NULL THEN NULL ELSE 100 END
        FROM (
            SELECT p.bot, w.id, w.attempt, w.result
            FROM unnest(known.turns, bots) AS p(turn, bot)
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'complete')
                AS w(id bigint, attempt integer, result jsonb)
            ORDER BY w.id
        ) w
        WHERE j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
        RETURNING CASE WHEN j.gated THEN j.kind_id END AS kind, j.group_name
        )
        SELECT count(*) AS n, array_agg(d.kind::text) FILTER (WHERE d.kind IS NOT NULL) AS gated_kinds,
               array_agg(d.group_name::text) FILTER (WHERE d.kind IS NOT NULL) AS gated_groups,
               array_agg(false) FILTER (WHERE d.kind IS NOT NULL) AS gated_pending
        INTO part
        FROM done d;
        held := part.n;
        ended_kinds := ended_kinds || part.gated_kinds;
        ended_groups := ended_groups || part.gated_groups;
        ended_added := ended_added || part.gated_pending;
    END IF;
    IF known.endings > 0 THEN
        part := jobs_fail(turns, known.turns, bots, known.names);
        done_turns := part.done_turns;
        done_ids := part.done_ids;
        changed := part.changed;
        ended_kinds := ended_kinds || part.gated_kinds;
        ended_groups := ended_groups || part.gated_groups;
        ended_added := ended_added || part.gated_pending;
    END IF;
    IF known.renewals > 0 THEN
        part := jobs_renew(turns, known.turns, bots, run_within_default);
        done_turns := done_turns || part.done_turns;
        done_ids := done_ids || part.done_ids;
        changed := COALESCE(changed, '[]') || COALESCE(part.changed, '[]');
    END IF;
    IF held + COALESCE(cardinality(done_ids), 0) < known.completions + known.endings + known.renewals THEN
        refusals := jobs_refuse(turns, known.turns, bots, known.names, done_turns, done_ids);
    END IF;

    SELECT array_agg(CASE WHEN b.odd = 'revoked' THEN 0 ELSE b.want END) AS wants,
           array_agg(b.status) AS statuses, array_agg(b.due AND b.odd IS DISTINCT FROM 'revoked') AS due,
           array_agg(b.paused) AS paused, array_agg(b.odd) AS odd, bool_or(b.limited) AS limited,
           bool_or(b.moved) AS moved,
           CASE WHEN cardinality(bots) = 1 THEN min(b.kinds) ELSE bot_kinds END AS kinds
    INTO locked
    FROM (
        SELECT b.id, b.status, (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) OR w.halted AS paused, b.kinds::text[], b.capacity IS NOT NULL AS limited,
               w.want > 0 AND b.instances_changed_at IS DISTINCT FROM w.changed_at AS moved,
               CASE
                   WHEN w.digest IS NOT NULL AND b.token_digest IS DISTINCT FROM w.digest THEN 'revoked'
                   WHEN (b.stuck_job_id IS NOT NULL
                            AND jsonb_path_exists(turns->(w.turn - 1), '$.*[*].id ? (@ == $job)',
                                                  jsonb_build_object('job', b.stuck_job_id))) THEN 'stuck'
               END AS odd,
               CASE WHEN (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) OR w.halted OR w.restart OR (b.kinds::text[] <> bot_kinds AND cardinality(bots) > 1)
                    THEN 0 ELSE LEAST(w.probe, w.want) END AS want,
               w.always OR b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - seen_every
                   OR (b.health_status <> 'normal' AND (b.stuck_job_id IS NULL OR (b.stuck_job_id IS NOT NULL
                            AND jsonb_path_exists(turns->(w.turn - 1), '$.*[*].id ? (@ == $job)',
                                                  jsonb_build_object('job', b.stuck_job_id))))) AS due
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
    wants := locked.wants;
    IF locked.moved THEN
        SELECT array_agg(CASE WHEN t.newer IS NULL AND NOT t.restart AND NOT t.halted THEN LEAST(t.probe, t.want) ELSE 0 END ORDER BY t.place) AS wants,
           array_agg(t.restart ORDER BY t.place) AS restarts, array_agg(t.newer ORDER BY t.place) AS newer,
           bool_or(t.probe IS NOT NULL) AS probing
    INTO again
    FROM (
        SELECT w.want, w.place, CASE WHEN i.quarantined_at IS NOT NULL THEN (
                        i.probe_at <= statement_timestamp()
                        AND (SELECT true FROM jobs_job j
                             WHERE j.claimed_by_id = b.id AND j.instance = ANY (ARRAY[i.name, w.instance])
                               AND j.claimed_at > i.quarantined_at
                             LIMIT 1) IS NULL
                    )::integer END AS probe, COALESCE(i.newer, CASE WHEN COALESCE(i.name, '') = '' AND w.instance <> b.instance AND w.instance <> ''
                                     THEN NULLIF(b.instance, '') END) AS newer, i.paused IS TRUE AS halted,
               COALESCE(i.restart_requested_at IS NOT NULL AND i.name <> '', false) AS restart
        FROM unnest(bots, instances, wants) WITH ORDINALITY AS w(bot, instance, want, place)
        JOIN bots_bot b ON b.id = w.bot
        LEFT JOIN LATERAL (SELECT i.id, i.name, i.restart_requested_at, i.last_seen_at, i.asked_kinds, i.slots, i.slots_lost, i.quarantined_at, i.probe_at,
                       i.paused AND COALESCE(i.paused_until > statement_timestamp(), true) AS paused,
                       CASE WHEN i.ended_at IS NOT NULL THEN i.replaced_by END AS newer
                FROM bots_instance i
                WHERE i.bot_id = b.id AND i.name = ANY (ARRAY[w.instance, '']) AND w.instance IS NOT NULL
                ORDER BY i.name DESC LIMIT 1) i ON true
    ) t;
    wants := again.wants;
    known.restarts := again.restarts;
    known.probing := known.probing OR again.probing;
    newer := again.newer;
    END IF;
    counts := array_fill(0, ARRAY[cardinality(wants)]);
    IF 0 <> ANY (wants) THEN
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
        IF kinds IS NOT NULL THEN
        unpaused := ARRAY(SELECT wanted FROM unnest(kinds) AS wanted
                          WHERE NOT COALESCE(wanted = ANY (ARRAY(SELECT k.name FROM jobs_jobkind k WHERE k.paused OR k.limited
                          UNION ALL
                          SELECT g.kind_id FROM jobs_gate g
                          WHERE g.group_name = '' AND g.shut_until IS NOT NULL AND g.shut_until > statement_timestamp())), false));
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
                                    WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = wanted AND j.kind_id BETWEEN wanted AND wanted
                                      AND j.priority < at_priority
                                    ORDER BY j.priority DESC LIMIT 1
                                ) p);
            END IF;
            EXIT WHEN at_priority IS NULL;
        END IF;
        i := i + 1;
        IF kinds IS NULL THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND NOT j.gated AND j.priority = at_priority
                  AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                  AND COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp() AND COALESCE(j.not_for_until <= statement_timestamp() OR j.not_for <> ALL (known.own_ids), true)
                  AND NOT COALESCE(j.kind_id = ANY (ARRAY(SELECT k.name FROM jobs_jobkind k WHERE k.paused OR k.limited
                          UNION ALL
                          SELECT g.kind_id FROM jobs_gate g
                          WHERE g.group_name = '' AND g.shut_until IS NOT NULL AND g.shut_until > statement_timestamp())), false)
                ORDER BY j.run_at, j.id
                LIMIT wanted_all - cardinality(picked)
                FOR NO KEY UPDATE OF j SKIP LOCKED
            );
        ELSIF cardinality(unpaused) = 1 THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = unpaused[1] AND j.kind_id BETWEEN unpaused[1] AND unpaused[1] AND j.priority = at_priority
                  AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                  AND COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp() AND COALESCE(j.not_for_until <= statement_timestamp() OR j.not_for <> ALL (known.own_ids), true)
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
                        WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = wanted AND j.kind_id BETWEEN wanted AND wanted AND j.priority = at_priority
                          AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (after_at, after_id)
                          AND COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp() AND COALESCE(j.not_for_until <= statement_timestamp() OR j.not_for <> ALL (known.own_ids), true)
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
        found_all := cardinality(picked);
        took := date_part('epoch', clock_timestamp() - began);
        at := statement_timestamp()::text;
        IF cardinality(priorities) > 0 OR took > date_part('epoch', slow) THEN
            SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
            FROM jobs_job j WHERE j.id = picked[found_all];
        END IF;
        IF ended_kinds IS NOT NULL
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND g.open LIMIT 1)
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND NOT g.open AND g.due_at <= clock_timestamp() LIMIT 1)
    THEN
        SELECT g.picked, g.claimed_at, g.opened::text INTO picked, gated_at, opened
        FROM jobs_gated(kinds, COALESCE(wanted_all, 0), picked, ended_kinds, ended_groups, ended_added, known.own_ids) g;
    END IF;
    IF wanted_all > 0 AND cardinality(picked) = 0 THEN
        opens_in := EXTRACT(epoch FROM (
            SELECT g.due_at FROM jobs_gate g
            WHERE g.group_name = '' AND NOT g.open AND g.due_at > statement_timestamp() AND g.due_at < 'infinity'
              AND (kinds IS NULL OR g.kind_id = ANY (kinds))
            ORDER BY g.due_at LIMIT 1
        ) - clock_timestamp());
        shut := opens_in IS NOT NULL AND kinds IS NOT NULL AND NOT EXISTS (
            SELECT FROM unnest(kinds) AS w(kind) LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = ''
            WHERE COALESCE(jobs_shut(g.id, clock_timestamp()) <= clock_timestamp(), true)
        );
    END IF;
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
            SET status = l.status,
        attempt = j.attempt + 1 + 1000000 * GREATEST(l.epoch - j.attempt / 1000000, 0),
        claimed_by_id = l.bot,
        instance = l.instance,
        claimed_at = l.claimed_at,
        started_at = l.started_at,
        heartbeat_at = l.heartbeat_at,
        deadline_at = COALESCE(
                CASE WHEN l.status = 'claimed' THEN l.claimed_at + k.start_within ELSE LEAST(
                    l.heartbeat_at + COALESCE(j.heartbeat_within, k.heartbeat_within),
                    CASE WHEN l.started_at + COALESCE(j.run_within, k.run_within, k.learned_run_within, run_within_default) > statement_timestamp() THEN l.started_at + COALESCE(j.run_within, k.run_within, k.learned_run_within, run_within_default) END,
                    CASE WHEN l.started_at + 3 * COALESCE(j.run_within, k.run_within, k.learned_run_within, run_within_default) > statement_timestamp()
                         THEN l.started_at + 3 * COALESCE(j.run_within, k.run_within, k.learned_run_within, run_within_default) END
                ) END,
                statement_timestamp()
            ),
        error = ''
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
                      j.run_at, j.deadline_at, round(EXTRACT(epoch FROM j.deadline_at - l.heartbeat_at), 3) AS lease_for
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
    END IF;
    IF ended_kinds IS NOT NULL AND COALESCE(wanted_all, 0) = 0 THEN
        IF ended_kinds IS NOT NULL
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND g.open LIMIT 1)
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND NOT g.open AND g.due_at <= clock_timestamp() LIMIT 1)
    THEN
        SELECT g.picked, g.claimed_at, g.opened::text INTO picked, gated_at, opened
        FROM jobs_gated(kinds, COALESCE(wanted_all, 0), picked, ended_kinds, ended_groups, ended_added, known.own_ids) g;
    END IF;
    IF wanted_all > 0 AND cardinality(picked) = 0 THEN
        opens_in := EXTRACT(epoch FROM (
            SELECT g.due_at FROM jobs_gate g
            WHERE g.group_name = '' AND NOT g.open AND g.due_at > statement_timestamp() AND g.due_at < 'infinity'
              AND (kinds IS NULL OR g.kind_id = ANY (kinds))
            ORDER BY g.due_at LIMIT 1
        ) - clock_timestamp());
        shut := opens_in IS NOT NULL AND kinds IS NOT NULL AND NOT EXISTS (
            SELECT FROM unnest(kinds) AS w(kind) LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = ''
            WHERE COALESCE(jobs_shut(g.id, clock_timestamp()) <= clock_timestamp(), true)
        );
    END IF;
    END IF;
    IF known.probing THEN
        UPDATE bots_instance i
        SET probe_level = i.probe_level + 1,
            probe_at = statement_timestamp() + LEAST(
                interval '10 s' * 2 ^ LEAST(i.probe_level + 1, 9), interval '3600 s')
        FROM unnest(bots, known.own, counts) AS t(bot, own, n)
        WHERE i.bot_id = t.bot AND i.name = t.own AND t.n > 0 AND i.quarantined_at IS NOT NULL;
        UPDATE bots_instance i
        SET quarantined_at = NULL, quarantine_reason = '', probe_at = NULL, probe_level = 0, cleared_at = statement_timestamp()
        FROM unnest(known.turns, bots, known.own, instances) AS p(turn, bot, own, instance)
        CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'complete') AS w(id bigint, attempt integer)
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
        WHERE i.bot_id = p.bot AND i.name = p.own AND j.status = 'succeeded' AND j.finished_by_id = p.bot
          AND j.instance = ANY (ARRAY[p.own, p.instance]) AND j.claimed_at > i.quarantined_at;
        UPDATE bots_bot b SET instances_changed_at = statement_timestamp() WHERE b.id = ANY (bots);
    END IF;
    -- A bot's row is written only when that changes something or the last sight is old.
    IF true = ANY (locked.due) OR 0 = ANY (counts) OR 'busy' <> ANY (locked.statuses) THEN
        IF true = ANY (known.always) THEN
            versions := ARRAY(SELECT turns->(t.turn - 1)->>'version' FROM unnest(known.turns) AS t(turn));
        END IF;
        touched := jobs_touch_bots(bots, false, locked.due, counts, versions);
    END IF;
    IF true = ANY (known.stale) THEN
        UPDATE bots_instance i
        SET last_seen_at = statement_timestamp(),
            asked_kinds = CASE WHEN t.want > 0 THEN asked ELSE i.asked_kinds END,
            slots = COALESCE((t.slots->>0)::integer, i.slots),
            slots_lost = COALESCE((t.slots->>1)::integer, i.slots_lost),
            restart_requested_at = CASE WHEN i.name = '' AND t.restart THEN NULL ELSE i.restart_requested_at END
        FROM (
            SELECT t.bot, t.own, t.want, t.restart, turns->(t.turn - 1)->'slots' AS slots
            FROM unnest(known.turns, bots, known.own, known.wants, known.stale, known.restarts)
                AS t(turn, bot, own, want, stale, restart)
            WHERE t.stale
        ) t
        WHERE i.bot_id = t.bot AND i.name = t.own;
        INSERT INTO bots_instance (bot_id, name, asked_kinds)
        SELECT t.bot, t.own, asked
        FROM unnest(bots, known.own, known.wants, known.stale) AS t(bot, own, want, stale)
        WHERE t.stale AND t.own = '' AND t.want > 0
        ON CONFLICT (bot_id, name) DO NOTHING;
    END IF;
    FOR i IN 1 .. cardinality(bots) LOOP
        -- Of one that was revoked or replaced before it was locked nothing was done, unless it reported: that holds.
        CONTINUE WHEN locked.odd[i] = 'revoked' AND NOT known.reporting[i];
        turn := known.turns[i];
        bot := bots[i];
        name := known.names[i];
        outcome := 'done';
        IF newer[i] IS NOT NULL AND NOT known.reporting[i] THEN
            outcome := 'replaced';
        END IF;
        instance := newer[i];
        takes := CASE WHEN locked.kinds <> bot_kinds THEN array_to_json(locked.kinds)::text END;
        room := wants[i] > 0;
        paused := locked.paused[i];
        restart := known.restarts[i];
        -- A turn with `grades` is alone: what held is its own.
        grade := COALESCE(locked.odd[i] = 'stuck', false) AND held + COALESCE(cardinality(done_ids), 0) > 0;
        jobs := COALESCE(texts[i], '[]');
        n := counts[i];
        IF changed IS NOT NULL THEN
            changes := (SELECT json_agg(c)::text FROM jsonb_array_elements(changed) AS c
                        WHERE (c->>'turn')::integer = known.turns[i]);
        END IF;
        refused := refusals[i];
        RETURN NEXT;
    END LOOP;
END
$function$;

