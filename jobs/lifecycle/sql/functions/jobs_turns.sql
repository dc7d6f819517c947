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
    {known_turns}
    {others}
    bots := known.bots;
    instances := known.instances;
    starting := known.starting;
    IF cardinality(bots) > 1 THEN
        -- Nobody waits long for what only another has to wait for: then each goes by itself.
        PERFORM set_config('lock_timeout', '50ms', true);
    END IF;

    -- The jobs they report on before the bots.
    IF (known.completions > 0)::integer + (known.endings > 0)::integer + (known.renewals > 0)::integer > 1 THEN
        {locked_jobs}
    END IF;
    IF known.completions > 0 THEN
        {leases_completed}
    END IF;
    IF known.endings > 0 THEN
        part := jobs_fail(turns, known.turns, bots, known.names);
        done_turns := part.done_turns;
        done_ids := part.done_ids;
        changed := part.changed;
        {gates_ended}
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

    {locked_bots}
    wants := locked.wants;
    IF locked.moved THEN
        {instances_again}
    END IF;
    counts := array_fill(0, ARRAY[cardinality(wants)]);
    IF 0 <> ANY (wants) THEN
        {jobs_claimed}
    END IF;
    IF ended_kinds IS NOT NULL AND COALESCE(wanted_all, 0) = 0 THEN
        {jobs_gates}
    END IF;
    {probed}
    -- A bot's row is written only when that changes something or the last sight is old.
    IF true = ANY (locked.due) OR 0 = ANY (counts) OR 'busy' <> ANY (locked.statuses) THEN
        IF true = ANY (known.always) THEN
            versions := ARRAY(SELECT turns->(t.turn - 1)->>'version' FROM unnest(known.turns) AS t(turn));
        END IF;
        touched := jobs_touch_bots(bots, false, locked.due, counts, versions);
    END IF;
    IF true = ANY (known.stale) THEN
        {instances_seen}
    END IF;
    {turn_rows}
END
$function$;
