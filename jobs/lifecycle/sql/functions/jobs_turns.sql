-- Turns: whole turns of bots in one call: the reports of each, then its claim. One row comes back for each known bot.
--
-- `turns` is a JSON list, each turn as `known_turns.sql` reads it. Several are turns of different bots that came at the
-- same time and ask for the same kinds; `bot_kinds` are those that the caller believes they take. `outcome` is `done`,
-- or why nothing of a turn was done: `replaced` (a newer process of the bot is alone), `other_kinds` (the bot takes
-- other kinds than believed: send it alone), `stuck` (grade the bot in the same transaction: send it so, with `grades`).
-- Unlike a statement, each statement in a VOLATILE function sees what was committed before *it* began: so what a bot
-- holds can be counted under the bot's lock.
CREATE OR REPLACE FUNCTION jobs_turns(
    turns jsonb, bot_kinds text[], asked text[],
    priorities integer[], run_ats timestamptz[], ids bigint[],
    run_within_default interval, seen_every interval, slow interval
)
RETURNS TABLE (
    turn integer, outcome text, bot bigint, name text, instance text, takes text, kinds text[], room boolean,
    paused boolean, restart boolean, grade boolean, jobs text, n integer, changes text, refused text,
    found_all integer, wanted_all integer, took double precision, at text,
    last_priority integer, last_run_at text, last_id bigint
)
LANGUAGE plpgsql VOLATILE ROWS 1
-- These hold for all that it calls, too. Statements are planned once for each connection, and none may ever read a whole
-- table or be compiled.
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
    known record;
    locked record;
    given record;
    part record;
    done_turns integer[] := '{}';
    done_ids bigint[] := '{}';
    changed jsonb;
    refusals text[];
    wants integer[];
    counts integer[];
    texts text[];
    touched boolean;
    i integer;
BEGIN
    {known_turns}
    IF known.others IS NOT NULL THEN
        RETURN QUERY SELECT o.turn, o.outcome, o.bot, o.name, o.instance, o.takes, NULL::text[], false, false, false, false,
                            '[]', 0, NULL, NULL, NULL::integer, NULL::integer, NULL::double precision, NULL, NULL::integer,
                            NULL, NULL::bigint
        FROM jsonb_to_recordset(known.others)
            AS o(turn integer, outcome text, bot bigint, name text, instance text, takes text);
    END IF;
    IF known.turns IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(known.turns) > 1 THEN
        -- Nobody waits long for what only another has to wait for: then each goes by itself.
        PERFORM set_config('lock_timeout', '50ms', true);
    END IF;

    -- The jobs they report on before the bots.
    IF (known.completions > 0)::integer + (known.endings > 0)::integer + (known.renewals > 0)::integer > 1 THEN
        {locked_jobs}
    END IF;
    IF known.completions > 0 THEN
        part := jobs_complete(turns, known.turns, known.bots);
        done_turns := part.done_turns;
        done_ids := part.done_ids;
    END IF;
    IF known.endings > 0 THEN
        part := jobs_fail(turns, known.turns, known.bots, known.names);
        done_turns := done_turns || part.done_turns;
        done_ids := done_ids || part.done_ids;
        changed := part.changed;
    END IF;
    IF known.renewals > 0 THEN
        part := jobs_renew(turns, known.turns, known.bots, run_within_default);
        done_turns := done_turns || part.done_turns;
        done_ids := done_ids || part.done_ids;
        changed := COALESCE(changed, '[]') || COALESCE(part.changed, '[]');
    END IF;
    IF COALESCE(cardinality(done_ids), 0) < known.completions + known.endings + known.renewals THEN
        refusals := jobs_refuse(turns, known.turns, known.bots, known.names, done_turns, done_ids);
    END IF;

    {locked_bots}
    wants := locked.wants;
    counts := array_fill(0, ARRAY[cardinality(wants)]);
    IF 0 <> ANY (wants) THEN
        given := jobs_claim(known.bots, wants, known.starting, known.instances, locked.limited, locked.kinds, asked,
                            priorities, run_ats, ids, run_within_default, slow);
        wants := given.wants;
        counts := given.counts;
        texts := given.texts;
        kinds := given.kinds;
        found_all := given.found_all;
        wanted_all := given.wanted_all;
        took := given.took;
        last_priority := given.last_priority;
        last_run_at := given.last_run_at;
        last_id := given.last_id;
        at := statement_timestamp()::text;
    END IF;
    -- A bot's row is written only when that changes something or the last sight is old.
    IF true = ANY (locked.due) OR 0 = ANY (counts) OR 'busy' <> ANY (locked.statuses) THEN
        touched := jobs_touch_bots(known.bots, false, locked.due, counts, known.versions);
    END IF;

    FOR i IN 1 .. cardinality(known.turns) LOOP
        -- Of one that was revoked or replaced before it was locked nothing was done, unless it reported: that holds.
        CONTINUE WHEN locked.revoked[i] AND NOT known.reporting[i];
        turn := known.turns[i];
        bot := known.bots[i];
        name := known.names[i];
        instance := locked.instances[i];
        outcome := CASE WHEN locked.replaced[i] AND NOT known.reporting[i] THEN 'replaced' ELSE 'done' END;
        takes := locked.takes[i];
        room := wants[i] > 0;
        paused := locked.paused[i];
        restart := locked.restarts[i];
        jobs := COALESCE(texts[i], '[]');
        n := counts[i];
        IF changed IS NOT NULL THEN
            changes := (SELECT json_agg(c)::text FROM jsonb_array_elements(changed) AS c
                        WHERE (c->>'turn')::integer = known.turns[i]);
        END IF;
        refused := refusals[i];
        grade := locked.stuck[i] AND known.turns[i] = ANY (done_turns);
        RETURN NEXT;
    END LOOP;
END
$function$;
