-- Next of kind: the next jobs of a kind, in the order in which they go, at most `want` and as many as its limits allow.
-- They are locked, and the caller, who has locked the gate of the kind, gives a first part of them (`jobs_given`).
--
-- Groups take turns: the one that is in the earliest round goes first, and each job that it gets is a round. Jobs without
-- a group are one of them. Within a group it goes by priority, then by age; with `fair` off, so it does in the kind.
-- `counted`: what is given of them is to be written to gates.
CREATE OR REPLACE FUNCTION jobs_next_of_kind(
    of_kind text, want integer, at timestamptz, asking bigint[],
    OUT ids bigint[], OUT priorities integer[], OUT run_ats timestamptz[], OUT grps text[], OUT counted boolean
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    policy record;
    grp record;
    got record;
    room record;
    most integer := LEAST(want, 1000) + 400; -- Groups that are read at once.
    open_groups integer;
    groups integer; -- Those that may have a job that may go.
    share integer; -- How many jobs each group gets at first, if they are to get as many as are wanted together.
    quota integer;
    total integer := 0;
    taken integer;
    passed integer := 0; -- Groups without a job that may go.
    names text[] := '{}'; -- The groups that had one: in which round, how many they got, and how many more they may get.
    rounds bigint[] := '{}';
    given integer[] := '{}';
    rooms integer[] := '{}';
    places bigint[] := '{}'; -- The round of each job.
    of_group text;
    at_place bigint;
BEGIN
    ids := '{}';
    SELECT k.*, g.id AS gate, g.tokens, g.tokens_at, g.shut_until INTO policy
    FROM jobs_jobkind k JOIN jobs_gate g ON g.kind_id = k.name AND g.group_name = ''
    WHERE k.name = of_kind AND NOT k.paused AND (NOT k.limited OR g.limited_no = k.limited_no);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    room := jobs_room(of_kind, NULL, want, policy.max_held, policy.rate, policy.rate_period, policy.tokens,
                      policy.tokens_at, policy.shut_until, at);
    IF room.room <= 0 THEN
        PERFORM jobs_sleep(policy.gate, room.until, room.until < 'infinity', at);
        RETURN;
    END IF;
    want := room.room;
    {groups_counted}
    counted := groups > 0 OR policy.rate IS NOT NULL;
    share := ceil(want::double precision / (1 + open_groups));
    IF groups = 0 THEN
        SELECT array_agg(j.id), array_agg(j.priority), array_agg(j.run_at), array_agg(''::text)
        INTO ids, priorities, run_ats, grps
        FROM jobs_of_group(of_kind, '', want, policy.fair, at, asking) j;
        total := COALESCE(cardinality(ids), 0);
    ELSE
        {next_of_groups}
    END IF;
    -- What the others had not, those that have more get in further rounds.
    WHILE policy.fair AND total < want AND 0 < ANY (rooms) LOOP
        share := ceil((want - total)::numeric / cardinality(names));
        FOR i IN 1 .. cardinality(names) LOOP
            CONTINUE WHEN rooms[i] <= 0;
            quota := LEAST(share, rooms[i]);
            of_group := names[i];
            at_place := rounds[i] + given[i];
            SELECT array_agg(j.id) AS ids, array_agg(j.priority) AS priorities, array_agg(j.run_at) AS run_ats INTO got
            FROM (SELECT j.* FROM jobs_of_group(of_kind, of_group, given[i] + quota, true, at, asking) j
                  WHERE j.id <> ALL (ids) LIMIT quota) j;
            {next_jobs}
            given[i] := given[i] + taken;
            rooms[i] := CASE WHEN taken < quota THEN 0 ELSE rooms[i] - taken END;
            total := total + taken;
        END LOOP;
    END LOOP;
    {next_in_order}
END
$function$;
