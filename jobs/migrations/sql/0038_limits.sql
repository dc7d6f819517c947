-- Renew: renew leases that their bots start or report a heartbeat on, with progress and a note where given.
-- Returns those whose reports held, each with its turn, and the renewed leases, as JSON.
CREATE OR REPLACE FUNCTION jobs_renew(
    turns jsonb, known integer[], bots bigint[], run_within_default interval,
    OUT done_turns integer[], OUT done_ids bigint[], OUT changed jsonb
)
LANGUAGE plpgsql VOLATILE
AS $function$
BEGIN
    WITH target AS (
        -- Locked first, so that what is added to a lease is added to what it is then.
        SELECT w.turn, w.verb, w.bot, w.progress, w.note, j.id, j.attempt, j.kind_id, j.claimed_at,
               statement_timestamp() AS heartbeat_at,
               CASE WHEN w.verb = 'start' THEN 'processing' ELSE j.status END AS status,
               CASE WHEN w.verb = 'start' THEN COALESCE(j.started_at, statement_timestamp()) ELSE j.started_at
               END AS started_at
        FROM (
            SELECT p.turn, p.bot, verb, w.*
            FROM unnest(known, bots) AS p(turn, bot)
            CROSS JOIN unnest('{start,heartbeat}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb)
                AS w(id bigint, attempt integer, progress smallint, note text)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
        FOR NO KEY UPDATE OF j
    ), changed AS (
        UPDATE jobs_job j
        SET status = l.status,
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
            progress = COALESCE(l.progress, j.progress),
            progress_note = COALESCE(l.note, j.progress_note)
        FROM target l
        JOIN jobs_jobkind k ON k.name = l.kind_id
        -- As of `lease.sql`.
        WHERE j.id = l.id AND CASE WHEN l.id > 0 THEN j.attempt = l.attempt AND j.claimed_by_id = l.bot END
        RETURNING l.turn, l.verb, j.id, j.attempt, j.status, j.deadline_at, round(EXTRACT(epoch FROM j.deadline_at - l.heartbeat_at), 3) AS lease_for
    )
    SELECT array_agg(c.turn), array_agg(c.id),
           jsonb_agg(jsonb_build_object(
               'turn', c.turn, 'verb', c.verb, 'id', c.id, 'attempt', c.attempt, 'status', c.status,
               'deadline_at', jobs_moment(c.deadline_at), 'lease_for', c.lease_for
           ) ORDER BY c.id)
    INTO done_turns, done_ids, changed
    FROM changed c;
END
$function$;

-- Refuse: explain reports that did not hold. One that repeats a report that held before is accepted; each other one is
-- refused, with what ended its lease and the job's status. A result or a failure that came after the bot's own lease
-- had ended is kept in the job's history.
--
-- A lease of another epoch that this database did not give to the bot, or does not know the end of, is of a later state
-- of the database, which a restore has undone: `undone`. A job from before the restore is the same job in both, since
-- ids go on far beyond those of then: what came of such a lease is kept, too.
-- Returns for each turn its refused reports, as JSON.
CREATE OR REPLACE FUNCTION jobs_refuse(
    turns jsonb, known integer[], bots bigint[], names text[], done_turns integer[], done_ids bigint[],
    OUT refused text[]
)
LANGUAGE plpgsql VOLATILE
AS $function$
BEGIN
    WITH reported AS MATERIALIZED (
        SELECT w.place, w.turn, w.bot, w.name, w.verb AS report, w.becomes, w.ord, w.id, w.attempt, w.result, w.error,
               j.id IS NOT NULL AS found, j.status, j.attempt AS job_attempt, j.finished_at,
               -- It holds, and was deferred as often as it may be.
               CASE WHEN w.becomes = 'defer' AND j.attempt = w.attempt AND j.claimed_by_id = w.bot THEN j.deferrals
               END AS deferrals,
               COALESCE(j.finished_by_id = w.bot AND j.attempt = w.attempt, false) AS completed,
               e.verb, e.actor, e.by, e.reason, e.at,
               CASE WHEN e.verb IS NULL THEN (
                   SELECT s.began_at FROM jobsite_site s WHERE s.id = 1 AND s.epoch <> w.attempt / 1000000
               ) END AS restored_at,
               j.created_at
        FROM (
            SELECT p.place, p.turn, p.bot, p.name, verb,
                   CASE WHEN w.run_in IS NULL THEN verb ELSE 'defer' END AS becomes, w.*
            FROM unnest(known, bots, names) WITH ORDINALITY AS p(turn, bot, name, place)
            CROSS JOIN unnest('{complete,fail,release,start,heartbeat}'::text[]) AS verb
            CROSS JOIN LATERAL ROWS FROM (
                jsonb_to_recordset(turns->(p.turn - 1)->verb)
                    AS (id bigint, attempt integer, result jsonb, error text, run_in double precision)
            ) WITH ORDINALITY AS w(id, attempt, result, error, run_in, ord)
            -- A completion that held now is seen as one that held before: in the job itself.
            WHERE (p.turn, w.id) NOT IN (SELECT d.turn, d.id FROM unnest(done_turns, done_ids) AS d(turn, id))
        ) w
        LEFT JOIN jobs_job j ON j.id = w.id
        LEFT JOIN LATERAL (
            SELECT e.verb, e.actor, e.by, e.reason, e.at FROM jobs_jobevent e
            WHERE e.job_id = w.id AND e.attempt = w.attempt AND e.bot_id = w.bot
              AND e.verb IN ('release', 'defer', 'expire', 'fail', 'cancel')
            ORDER BY e.id DESC
            LIMIT 1
        ) e ON true
    ), refusal AS MATERIALIZED (
        SELECT *, CASE WHEN NOT completed THEN restored_at END AS undone FROM reported l
        WHERE NOT (
            COALESCE(l.report = 'complete' AND l.completed AND l.status = 'succeeded', false)
            OR COALESCE(l.becomes = l.verb AND l.actor = 'bot', false)
        )
    ), happened AS (
        SELECT j.id, r.attempt, 'late' AS verb, j.status AS previous_status, j.status, r.bot, 'bot' AS actor,
               r.name AS by,
               CASE WHEN r.report <> 'complete' THEN r.error
                    WHEN r.undone IS NULL THEN 'a result came after the lease had ended'
                    ELSE 'a result came of a lease from before the database was restored' END AS reason,
               jsonb_build_object('outcome', r.report)
               || CASE WHEN r.report = 'complete' THEN jsonb_build_object('result', r.result)
                       ELSE jsonb_build_object('error', r.error) END AS detail
        FROM refusal r JOIN jobs_job j ON j.id = r.id
        WHERE r.report IN ('complete', 'fail')
          -- Not EXISTS, which beside OR may be answered by a hash table of all events.
          AND (r.created_at < r.undone
               OR (SELECT true FROM jobs_jobevent e
                   WHERE e.job_id = r.id AND e.attempt = r.attempt AND e.bot_id = r.bot AND e.verb <> 'late'
                   LIMIT 1))
        -- It stays until this is written; one that is being deleted is let go.
        FOR KEY SHARE OF j SKIP LOCKED
    ), late AS (
        INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at,
                           detail)
    SELECT h.id, h.attempt, h.verb, h.previous_status, h.status, h.bot, h.actor, h.by, h.reason, statement_timestamp(),
           h.detail
    FROM happened h
    ORDER BY h.id
        -- Once for each attempt, however often it is sent.
        ON CONFLICT (job_id, attempt) WHERE verb = 'late' DO NOTHING
    )
    SELECT array_agg(r.texts ORDER BY p.place) INTO refused
    FROM generate_series(1, cardinality(known)) AS p(place)
    LEFT JOIN (
        SELECT r.place, json_agg(json_build_object(
                   'id', r.id, 'attempt', r.attempt, 'found', r.found, 'status', r.status, 'job_attempt', r.job_attempt,
                   'completed', r.completed, 'finished_at', jobs_moment(r.finished_at), 'verb', r.verb,
                   'actor', r.actor, 'by', r.by, 'reason', r.reason, 'at', jobs_moment(r.at),
                   'undone', jobs_moment(r.undone), 'deferrals', r.deferrals
               ) ORDER BY array_position('{complete,fail,heartbeat,start,release}', r.report), r.ord)::text AS texts
        FROM refusal r
        GROUP BY r.place
    ) r ON r.place = p.place;
END
$function$;

-- Rate: how many more jobs may start at this moment, and from when on at least one may.
--
-- Starts are counted by parts of the period, the newest first (`tokens`); the newest one is that of `tokens_at`. All of
-- the part in which the window of one period begins count, so that no window of that length has more than `rate`.
CREATE OR REPLACE FUNCTION jobs_rate(
    tokens integer[], tokens_at timestamptz, rate integer, period interval, at timestamptz,
    OUT spare integer, OUT free_at timestamptz
)
LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    part double precision := EXTRACT(epoch FROM period) / 60;
    newest bigint := floor(EXTRACT(epoch FROM GREATEST(at, tokens_at))::double precision / part);
    -- How many of the parts that are kept are within the window still.
    counted integer := 60 + 1 - COALESCE(
        LEAST(newest - floor(EXTRACT(epoch FROM tokens_at)::double precision / part), 60 + 1), 60 + 1);
BEGIN
    spare := rate - COALESCE((SELECT sum(t) FROM unnest(tokens[1:counted]) AS t), 0);
    free_at := at;
    IF spare <= 0 THEN
        spare := 0;
        SELECT to_timestamp((newest + min(later)) * part) INTO free_at
        FROM generate_series(1, 60 + 1) AS later
        WHERE COALESCE((SELECT sum(t) FROM unnest(tokens[1:counted - later]) AS t), 0) < rate;
    END IF;
END
$function$;

-- Started: the starts of a gate, by parts of the period as in `jobs_rate`, with `n` more at this moment.
CREATE OR REPLACE FUNCTION jobs_started(
    tokens integer[], tokens_at timestamptz, period interval, at timestamptz, n integer
)
RETURNS integer[] LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    part double precision := EXTRACT(epoch FROM period) / 60;
    moved integer := COALESCE(LEAST(60 + 1,
        floor(EXTRACT(epoch FROM GREATEST(at, tokens_at))::double precision / part)
        - floor(EXTRACT(epoch FROM tokens_at)::double precision / part)), 0);
BEGIN
    tokens := (array_fill(0, ARRAY[moved]) || CASE WHEN tokens = '{}' THEN ARRAY[0] ELSE tokens END)[1:60 + 1];
    tokens[1] := tokens[1] + n;
    RETURN tokens;
END
$function$;

-- Room: how many more jobs of a kind (`of_group` NULL), or of one of its groups, may go at this moment, at most `want`.
-- Without room `until` is when to look again; infinity: when one of its jobs has ended.
--
-- What is held is counted here. The caller has locked the gate of the kind, and nobody else gives its jobs.
CREATE OR REPLACE FUNCTION jobs_room(
    of_kind text, of_group text, want integer, max_held integer, rate integer, period interval,
    tokens integer[], tokens_at timestamptz, shut_until timestamptz, at timestamptz,
    OUT room integer, OUT until timestamptz
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    rated record;
BEGIN
    room := want;
    IF shut_until > at THEN
        room := 0;
        until := shut_until;
    ELSIF max_held IS NOT NULL THEN
        IF of_group IS NULL THEN
            room := LEAST(room, max_held - (SELECT count(*) FROM (
                SELECT FROM jobs_job j WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = of_kind
                LIMIT max_held) AS held)::integer);
        ELSE
            room := LEAST(room, max_held - (SELECT count(*) FROM (
                SELECT FROM jobs_job j
                WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = of_kind AND j.group_name = of_group
                LIMIT max_held) AS held)::integer);
        END IF;
        until := 'infinity';
    END IF;
    IF room > 0 AND rate IS NOT NULL THEN
        rated := jobs_rate(tokens, tokens_at, rate, period, at);
        room := LEAST(room, rated.spare);
        until := rated.free_at;
    END IF;
END
$function$;

-- Of group: the first due jobs of a group of a kind (without a name: those without a group), by priority, then by age.
-- With `locks` they are locked, and those that somebody else has locked are passed over.
--
-- A priority at a time, so that jobs that are due later are not read.
CREATE OR REPLACE FUNCTION jobs_of_group(
    of_kind text, of_group text, most integer, locks boolean, now timestamptz, asking bigint[]
)
RETURNS TABLE (id bigint, priority integer, run_at timestamptz)
LANGUAGE plpgsql VOLATILE ROWS 1
AS $function$
#variable_conflict use_column
DECLARE
    at_priority integer := 2147483647;
    rows_left integer := most;
    n integer;
BEGIN
    WHILE rows_left > 0 LOOP
        at_priority := (SELECT j.priority FROM jobs_job j
                        WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
                          AND j.priority < at_priority
                        ORDER BY j.priority DESC LIMIT 1);
        EXIT WHEN at_priority IS NULL;
        IF locks THEN
            RETURN QUERY SELECT j.id, j.priority, j.run_at FROM jobs_job j
            WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
              AND j.priority = at_priority AND j.run_at <= now AND COALESCE(j.start_by, 'infinity'::timestamptz) > now AND COALESCE(j.not_for_until <= now OR j.not_for <> ALL (asking), true)
            ORDER BY j.run_at, j.id
            LIMIT rows_left
            FOR NO KEY UPDATE OF j SKIP LOCKED;
        ELSE
            RETURN QUERY SELECT j.id, j.priority, j.run_at FROM jobs_job j
            WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
              AND j.priority = at_priority AND j.run_at <= now AND COALESCE(j.start_by, 'infinity'::timestamptz) > now AND COALESCE(j.not_for_until <= now OR j.not_for <> ALL (asking), true)
            ORDER BY j.run_at, j.id
            LIMIT rows_left;
        END IF;
        GET DIAGNOSTICS n = ROW_COUNT;
        rows_left := rows_left - n;
    END LOOP;
END
$function$;

-- Due next: when the next pending job of a group of a kind is due, perhaps in the past. NULL: it has none.
CREATE OR REPLACE FUNCTION jobs_due_next(of_kind text, of_group text)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    step record;
    first_at timestamptz;
    at_priority integer := 2147483647;
    steps integer := 0;
BEGIN
    LOOP
        SELECT j.priority, j.run_at INTO step FROM jobs_job j
        WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
          AND j.priority < at_priority AND COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp()
        ORDER BY j.priority DESC, j.run_at, j.id LIMIT 1;
        IF NOT FOUND THEN
            RETURN first_at;
        END IF;
        first_at := LEAST(first_at, step.run_at);
        at_priority := step.priority;
        steps := steps + 1;
        -- Somebody may give every job a priority of its own: then they are read again soon.
        IF steps > 100 THEN
            RETURN LEAST(first_at, clock_timestamp());
        END IF;
    END LOOP;
END
$function$;

-- Sleep: a gate had no job that may go. It is read once more after a second, and then not before `until`.
--
-- Whatever would have opened it, in a transaction that was not seen, has ended by then, or has seen that the gate was not
-- open and opens it. `certain`: nothing but time opens it.
CREATE OR REPLACE FUNCTION jobs_sleep(gate bigint, until timestamptz, certain boolean, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE
AS $function$
    UPDATE jobs_gate g
    SET open = false,
        due_at = CASE WHEN certain OR NOT g.open THEN until ELSE at + interval '1 second' END
    -- Where one is due now, it is for another bot first, or locked.
    WHERE g.id = gate AND (certain OR until IS NULL OR until > at)
$function$;

-- Shut: until when a gate stays shut, whatever happens: by a throttle or by its rate. In the past: it is not shut by these.
CREATE OR REPLACE FUNCTION jobs_shut(gate bigint, at timestamptz)
RETURNS timestamptz LANGUAGE sql VOLATILE
AS $function$
    SELECT GREATEST(at, g.shut_until, CASE
        WHEN g.group_name = '' AND k.rate IS NOT NULL
        THEN (jobs_rate(g.tokens, g.tokens_at, k.rate, k.rate_period, at)).free_at
        WHEN g.group_name <> '' AND k.rate_per_group IS NOT NULL
        THEN (jobs_rate(g.tokens, g.tokens_at, k.rate_per_group, k.rate_period, at)).free_at
    END)
    FROM jobs_gate g JOIN jobs_jobkind k ON k.name = g.kind_id
    WHERE g.id = gate
$function$;

-- Round: in which round a group of a kind goes on that was in this one when it was last open: not before those that are
-- open, and not after them.
CREATE OR REPLACE FUNCTION jobs_round(of_kind text, own bigint)
RETURNS bigint LANGUAGE sql VOLATILE
AS $function$
    SELECT LEAST(
        GREATEST(own, (SELECT g.round_no FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
                       ORDER BY g.round_no, g.group_name LIMIT 1)),
        (SELECT g.round_no FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
         ORDER BY g.round_no DESC, g.group_name DESC LIMIT 1)
    )
$function$;

-- Open: open gates that are not open, after something has changed for each of these groups of kinds (without a group, ''):
-- a job was `added`, or is pending again, or a held one has `ended`. Returns how many gates of each kind were opened.
--
-- What time alone opens stays shut until then. Nothing is locked where all is open, as it mostly is; `jobs_sleep` says why
-- that is safe. The gates of kinds are locked by name, and those of groups under that of their kind.
CREATE OR REPLACE FUNCTION jobs_open(of_kinds text[], of_groups text[], added boolean[], ended boolean[])
RETURNS jsonb LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    at timestamptz := clock_timestamp();
    shut text[];
    woken text[];
    groups_opened text[];
    kinds_opened text[];
BEGIN
    shut := ARRAY(
        SELECT DISTINCT w.kind FROM (
            SELECT * FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
            UNION ALL
            SELECT w.kind, '', w.added, w.ended FROM unnest(of_kinds, added, ended) AS w(kind, added, ended)
        ) w
        LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = w.grp
        WHERE CASE WHEN g.id IS NULL THEN w.added ELSE NOT g.open AND CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added
            -- One that is due may be put to sleep just now by a claim that has not seen what was added or has ended.
            ELSE g.due_at <= at OR g.due_at > jobs_shut(g.id, at) END END
        ORDER BY 1
    );
    IF cardinality(shut) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO jobs_gate (kind_id) SELECT k.name FROM jobs_jobkind k WHERE k.name = ANY (shut) ORDER BY k.name
    ON CONFLICT (kind_id, group_name) DO NOTHING;
    PERFORM FROM jobs_gate g WHERE g.kind_id = ANY (shut) AND g.group_name = '' ORDER BY g.kind_id FOR NO KEY UPDATE;
    at := clock_timestamp();
    WITH wanted AS MATERIALIZED (
        SELECT w.kind, w.grp, bool_or(w.added) AS added, bool_or(w.ended) AS ended
        FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
        WHERE w.kind = ANY (shut) AND w.grp <> ''
        GROUP BY w.kind, w.grp
    ), made AS (
        INSERT INTO jobs_gate (kind_id, group_name, round_no)
        SELECT w.kind, w.grp, jobs_round(w.kind, 0) FROM wanted w JOIN jobs_jobkind k ON k.name = w.kind
        WHERE w.added
        ORDER BY w.kind, w.grp
        ON CONFLICT (kind_id, group_name) DO NOTHING
        RETURNING kind_id
    ), woken AS (
        UPDATE jobs_gate g
        SET open = s.until <= at, due_at = CASE WHEN s.until > at THEN s.until END,
            round_no = CASE WHEN s.until <= at THEN jobs_round(g.kind_id, g.round_no) ELSE g.round_no END
        FROM wanted w CROSS JOIN LATERAL (
            SELECT g.id, jobs_shut(g.id, at) AS until FROM jobs_gate g
            WHERE g.kind_id = w.kind AND g.group_name = w.grp AND NOT g.open AND CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added
            -- One that is due may be put to sleep just now by a claim that has not seen what was added or has ended.
            ELSE g.due_at <= at OR g.due_at > jobs_shut(g.id, at) END
        ) s
        WHERE g.id = s.id
        RETURNING g.kind_id
    )
    SELECT array_agg(kind_id) INTO groups_opened FROM (SELECT kind_id FROM made UNION ALL SELECT kind_id FROM woken) o;
    WITH wanted AS MATERIALIZED (
        SELECT w.kind, bool_or(w.added) OR w.kind = ANY (groups_opened) AS added, bool_or(w.ended) AS ended
        FROM unnest(of_kinds, added, ended) AS w(kind, added, ended)
        WHERE w.kind = ANY (shut)
        GROUP BY w.kind
    ), woken AS (
        UPDATE jobs_gate g
        SET open = s.until <= at, due_at = CASE WHEN s.until > at THEN s.until END
        FROM wanted w CROSS JOIN LATERAL (
            SELECT g.id, jobs_shut(g.id, at) AS until FROM jobs_gate g
            WHERE g.kind_id = w.kind AND g.group_name = '' AND NOT g.open AND CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added
            -- One that is due may be put to sleep just now by a claim that has not seen what was added or has ended.
            ELSE g.due_at <= at OR g.due_at > jobs_shut(g.id, at) END
        ) s
        WHERE g.id = s.id
        RETURNING g.kind_id
    )
    SELECT array_agg(kind_id) INTO kinds_opened FROM woken;
    RETURN (SELECT jsonb_object_agg(o.kind, o.n) FROM (
        SELECT kind, count(*) AS n FROM unnest(groups_opened || kinds_opened) AS kind GROUP BY kind
    ) o);
END
$function$;

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
    SELECT count(*) FILTER (WHERE g.open), count(*) INTO open_groups, groups
    FROM (
        (SELECT g.open FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
         ORDER BY g.round_no, g.group_name LIMIT want)
        UNION ALL
        (SELECT g.open FROM jobs_gate g
         WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at <= at
         ORDER BY g.due_at LIMIT 1)
    ) g;
    counted := groups > 0 OR policy.rate IS NOT NULL;
    share := ceil(want::double precision / (1 + open_groups));
    IF groups = 0 THEN
        SELECT array_agg(j.id), array_agg(j.priority), array_agg(j.run_at), array_agg(''::text)
        INTO ids, priorities, run_ats, grps
        FROM jobs_of_group(of_kind, '', want, policy.fair, at, asking) j;
        total := COALESCE(cardinality(ids), 0);
    ELSE
        FOR grp IN
        SELECT o.*, CASE WHEN o.open AND o.group_name <> '' THEN o.round_no ELSE jobs_round(of_kind, o.round_no) END AS place
        FROM (
            (SELECT g.* FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
             ORDER BY g.round_no, g.group_name LIMIT most)
            UNION ALL
            (SELECT g.* FROM jobs_gate g
             WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at <= at
             ORDER BY g.due_at LIMIT 20)
            UNION ALL
            SELECT g.* FROM jobs_gate g WHERE g.kind_id = of_kind AND g.group_name = ''
        ) o
        ORDER BY place, o.group_name
    LOOP
        EXIT WHEN policy.fair AND total >= want;
        IF grp.group_name = '' THEN
            room.room := want;
        ELSE
            room := jobs_room(of_kind, grp.group_name, want, policy.max_held_per_group, policy.rate_per_group,
                              policy.rate_period, grp.tokens, grp.tokens_at, grp.shut_until, at);
        END IF;
        of_group := grp.group_name;
        at_place := grp.place;
        taken := 0;
        IF room.room > 0 THEN
            quota := CASE WHEN policy.fair THEN LEAST(share, room.room) ELSE room.room END;
            SELECT array_agg(j.id) AS ids, array_agg(j.priority) AS priorities, array_agg(j.run_at) AS run_ats INTO got
            FROM jobs_of_group(of_kind, grp.group_name, quota, policy.fair, at, asking) j;
            taken := COALESCE(cardinality(got.ids), 0);
            ids := ids || got.ids;
            priorities := priorities || got.priorities;
            run_ats := run_ats || got.run_ats;
            grps := grps || array_fill(of_group, ARRAY[taken]);
            places := places || ARRAY(SELECT generate_series(at_place, at_place + taken - 1));
            names := names || of_group;
            rounds := rounds || at_place;
            given := given || taken;
            rooms := rooms || CASE WHEN taken < quota THEN 0 ELSE room.room - taken END;
        END IF;
        total := total + taken;
        IF grp.group_name <> '' THEN
            IF taken = 0 THEN
                passed := passed + 1;
                PERFORM jobs_sleep(
                    grp.id, CASE WHEN room.room > 0 THEN jobs_due_next(of_kind, grp.group_name) ELSE room.until END,
                    room.room <= 0 AND room.until < 'infinity', at
                );
            ELSIF NOT grp.open THEN
                UPDATE jobs_gate g SET open = true, due_at = NULL, round_no = grp.place WHERE g.id = grp.id;
            END IF;
        END IF;
        EXIT WHEN passed > 200 AND total > 0;
    END LOOP;
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
            taken := COALESCE(cardinality(got.ids), 0);
            ids := ids || got.ids;
            priorities := priorities || got.priorities;
            run_ats := run_ats || got.run_ats;
            grps := grps || array_fill(of_group, ARRAY[taken]);
            places := places || ARRAY(SELECT generate_series(at_place, at_place + taken - 1));
            given[i] := given[i] + taken;
            rooms[i] := CASE WHEN taken < quota THEN 0 ELSE rooms[i] - taken END;
            total := total + taken;
        END LOOP;
    END LOOP;
    IF total > 0 AND cardinality(names) > 1 THEN
        SELECT array_agg(o.id ORDER BY o.n), array_agg(o.priority ORDER BY o.n), array_agg(o.run_at ORDER BY o.n),
               array_agg(o.grp ORDER BY o.n)
        INTO ids, priorities, run_ats, grps
        FROM (
            SELECT j.*, row_number() OVER (
                ORDER BY CASE WHEN policy.fair THEN j.place END, CASE WHEN policy.fair THEN j.grp END,
                         j.priority DESC, j.run_at, j.id
            ) AS n
            FROM unnest(ids, priorities, run_ats, grps, places) AS j(id, priority, run_at, grp, place)
        ) o
        WHERE o.n <= want;
    ELSIF total = 0 AND NOT EXISTS (SELECT FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> '') THEN
        PERFORM jobs_sleep(policy.gate, LEAST(jobs_due_next(of_kind, ''), (
            SELECT g.due_at FROM jobs_gate g
            WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at < 'infinity'
            ORDER BY g.due_at LIMIT 1
        )), false, at);
    END IF;
    IF total > 0 AND NOT policy.fair THEN
        -- They are not locked yet: of many groups more were read than may go.
        SELECT array_agg(o.id), array_agg(o.priority), array_agg(o.run_at), array_agg(o.grp)
        INTO ids, priorities, run_ats, grps
        FROM (
            SELECT w.* FROM unnest(ids, priorities, run_ats, grps) WITH ORDINALITY AS w(id, priority, run_at, grp, n)
            JOIN jobs_job j ON j.id = w.id AND CASE WHEN w.id > 0 THEN j.status = 'pending' AND j.gated
                AND j.group_name = w.grp AND j.run_at <= at END
            ORDER BY w.n
            FOR NO KEY UPDATE OF j SKIP LOCKED
        ) o;
    END IF;
END
$function$;

-- Given: write to the gates of kinds, which the caller has locked, and of their groups what they give at this moment:
-- for each job the kind and the group. Each job is a round of its group, and a start of both. A group that is full now
-- sleeps, as after the first look of `jobs_sleep`.
CREATE OR REPLACE FUNCTION jobs_given(of_kinds text[], of_groups text[], at timestamptz)
RETURNS void LANGUAGE sql VOLATILE
AS $function$
    UPDATE jobs_gate g
    SET round_no = g.round_no + s.of_group,
        open = g.open AND NOT s.is_full,
        due_at = CASE WHEN s.is_full THEN at + interval '1 second' ELSE g.due_at END,
        tokens = CASE WHEN s.rate IS NULL THEN g.tokens
                      ELSE jobs_started(g.tokens, g.tokens_at, s.rate_period, at, s.starts) END,
        tokens_at = CASE WHEN s.rate IS NULL THEN g.tokens_at ELSE GREATEST(g.tokens_at, at) END
    FROM (
        SELECT w.kind, w.grp, sum(w.of_group)::integer AS of_group, sum(w.n)::integer AS starts, k.rate_period,
               CASE WHEN w.grp = '' THEN k.rate ELSE k.rate_per_group END AS rate,
               COALESCE(w.grp <> '' AND k.max_held_per_group <= sum(w.of_group) + (SELECT count(*) FROM (
                   SELECT FROM jobs_job j
                   WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = w.kind AND j.group_name = w.grp
                   LIMIT k.max_held_per_group
               ) AS held), false) AS is_full
        FROM (
            SELECT c.kind, of.grp, of.of_group, c.n
            FROM (SELECT kind, grp, count(*) AS n FROM unnest(of_kinds, of_groups) AS w(kind, grp) GROUP BY 1, 2) c
            CROSS JOIN LATERAL (
                SELECT c.grp, c.n AS of_group WHERE c.grp <> ''
                UNION ALL
                -- The gate of the kind is the one of jobs without a group, too.
                SELECT '', CASE WHEN c.grp = '' THEN c.n ELSE 0 END
            ) of
        ) w
        JOIN jobs_jobkind k ON k.name = w.kind
        GROUP BY w.kind, w.grp, k.name
    ) s
    WHERE g.kind_id = s.kind AND g.group_name = s.grp
      -- Of a kind that has no groups there is nothing to write but its starts.
      AND (g.group_name <> '' OR s.rate IS NOT NULL OR (s.of_group > 0 AND EXISTS (
          SELECT FROM jobs_gate o WHERE o.kind_id = g.kind_id AND o.open AND o.group_name <> '')))
$function$;

-- Gated: open the gates of those groups of kinds whose jobs have ended (`added`: or are pending again), and take jobs of
-- gated kinds for a claim of these kinds (NULL: any). They are merged with those of the shared lane, `shared`.
--
-- The gates are locked by the names of their kinds, after all other locks; who holds one waits for nothing but the next.
-- `claimed_at` is a moment after what is held was counted: so there are never more by what the rows say, either.
CREATE OR REPLACE FUNCTION jobs_gated(
    taken text[], want integer, shared bigint[], of_kinds text[], of_groups text[], added boolean[],
    asking bigint[], OUT picked bigint[], OUT claimed_at timestamptz, OUT opened jsonb
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    at timestamptz := clock_timestamp();
    ended boolean[] := array_fill(true, ARRAY[COALESCE(cardinality(of_kinds), 0)]);
    shut text[] := '{}';
    candidates text[];
    others text[] := '{}'; -- Those that are only needed if these have too few.
    beaten record;
    unknown integer; -- Kinds of which the next job is not known.
    kind text;
    chosen record;
    ids bigint[] := '{}';
    priorities integer[] := '{}';
    run_ats timestamptz[] := '{}';
    grps text[] := '{}';
    streams integer[] := '{}';
    kinds text[] := '{}';
    given_kinds text[];
    given_groups text[];
    counted boolean := false; -- Whether what is given is to be written to gates.
BEGIN
    picked := shared;
    IF cardinality(of_kinds) > 0 THEN
        shut := ARRAY(
        SELECT DISTINCT w.kind FROM (
            SELECT * FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
            UNION ALL
            SELECT w.kind, '', w.added, w.ended FROM unnest(of_kinds, added, ended) AS w(kind, added, ended)
        ) w
        LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = w.grp
        WHERE CASE WHEN g.id IS NULL THEN w.added ELSE NOT g.open AND CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added
            -- One that is due may be put to sleep just now by a claim that has not seen what was added or has ended.
            ELSE g.due_at <= at OR g.due_at > jobs_shut(g.id, at) END END
        ORDER BY 1
    );
    END IF;
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
    IF cardinality(candidates) + cardinality(shut) = 0 THEN
        RETURN;
    END IF;
    PERFORM FROM jobs_gate g WHERE g.kind_id = ANY (candidates || shut) AND g.group_name = ''
    ORDER BY g.kind_id FOR NO KEY UPDATE;
    IF cardinality(shut) > 0 THEN
        -- Only those that are locked: one that fell asleep since is read once more in a second.
        opened := (
            SELECT jobs_open(array_agg(w.kind), array_agg(w.grp), array_agg(w.added), array_agg(w.ended))
            FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
            WHERE w.kind = ANY (shut)
        );
    END IF;
    at := clock_timestamp();
    FOREACH kind IN ARRAY candidates || others LOOP
        EXIT WHEN cardinality(kinds) >= cardinality(candidates) AND cardinality(shared) + cardinality(ids) >= want;
        IF cardinality(kinds) >= cardinality(candidates) THEN
            PERFORM FROM jobs_gate g WHERE g.kind_id = kind AND g.group_name = '' FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
        END IF;
        kinds := kinds || kind;
        chosen := jobs_next_of_kind(kind, want, at, asking);
        IF cardinality(chosen.ids) > 0 THEN
            counted := counted OR chosen.counted;
            ids := ids || chosen.ids;
            priorities := priorities || chosen.priorities;
            run_ats := run_ats || chosen.run_ats;
            grps := grps || chosen.grps;
            streams := streams || array_fill(cardinality(kinds), ARRAY[cardinality(chosen.ids)]);
        END IF;
    END LOOP;
    IF cardinality(ids) > 0 THEN
        IF cardinality(shared) = 0 AND streams[1] = streams[cardinality(streams)] THEN
            picked := ids[:want];
            given_groups := grps[:want];
            given_kinds := array_fill(kinds[streams[1]], ARRAY[cardinality(picked)]);
        ELSE
            SELECT array_agg(o.id ORDER BY o.n), array_agg(kinds[o.stream] ORDER BY o.n) FILTER (WHERE o.stream > 0),
           array_agg(o.grp ORDER BY o.n) FILTER (WHERE o.stream > 0)
    INTO picked, given_kinds, given_groups
    FROM (
        SELECT j.*, row_number() OVER (ORDER BY j.latest, j.stream, j.place) AS n
        FROM (
            SELECT j.id, j.stream, j.grp, j.place, max(ARRAY[
                -j.priority, (EXTRACT(epoch FROM j.run_at) * 1000000)::bigint, j.id
            ]) OVER (PARTITION BY j.stream ORDER BY j.place) AS latest
            FROM (
                SELECT s.id, j.priority, j.run_at, 0 AS stream, '' AS grp, s.place
                FROM unnest(shared) WITH ORDINALITY AS s(id, place) JOIN jobs_job j ON j.id = s.id
                UNION ALL
                SELECT * FROM unnest(ids, priorities, run_ats, streams, grps) WITH ORDINALITY
            ) j
        ) j
    ) o
    WHERE o.n <= want;
        END IF;
        claimed_at := clock_timestamp();
        -- Of kinds without rates and groups there is nothing to write.
        IF counted AND given_kinds IS NOT NULL THEN
            PERFORM jobs_given(given_kinds, given_groups, claimed_at);
        END IF;
    END IF;
END
$function$;

-- Fail: end leases without success, by reports of their bots: failures, and leases that are handed back, or deferred:
-- with `run_in`, at most `most` times for each job.
-- Returns those whose reports held, each with its turn, and the change of each job, as JSON (`due`: it can be claimed).
CREATE OR REPLACE FUNCTION jobs_fail(
    turns jsonb, known integer[], bots bigint[], names text[],
    OUT done_turns integer[], OUT done_ids bigint[], OUT changed jsonb,
    OUT gated_kinds text[], OUT gated_groups text[], OUT gated_pending boolean[]
)
LANGUAGE plpgsql VOLATILE
AS $function$
BEGIN
    WITH target AS (
        SELECT w.turn, w.verb, w.bot, w.name, w.reason, w.error, j.id, j.status, j.attempt, j.claimed_at, j.started_at,
               j.heartbeat_at, j.progress, j.instance, j.kind_id,
               CASE WHEN w.verb = 'fail' THEN COALESCE(make_interval(secs => w.retry_in), LEAST(COALESCE(j.backoff, k.backoff) * ((2 ^ LEAST(GREATEST(mod(j.attempt, 1000000) - j.uncounted - 1, 0), 10))
                                        * (1 + 0.25 * (2 * random() - 1))), k.backoff_max))
                    ELSE make_interval(secs => w.run_in) END AS delay,
               CASE WHEN w.verb = 'fail' THEN 0 ELSE 1 END AS uncounts,
               CASE WHEN w.verb = 'fail' THEN CASE WHEN w.retry AND mod(j.attempt, 1000000) - j.uncounted < j.max_attempts THEN 'pending' ELSE 'failed' END ELSE 'pending' END AS to_status
        FROM (
            SELECT p.turn, p.bot, p.name, CASE WHEN w.run_in IS NULL THEN verb ELSE 'defer' END AS verb,
                   w.id, w.attempt, w.error, COALESCE(w.retry, true) AS retry,
                   COALESCE(w.reason, w.error, '') AS reason, w.retry_in, w.run_in, w.most
            FROM unnest(known, bots, names) AS p(turn, bot, name)
            CROSS JOIN unnest('{fail,release}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb)
                AS w(id bigint, attempt integer, error text, retry boolean, reason text,
                     retry_in double precision, run_in double precision, most integer)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
        JOIN jobs_jobkind k ON k.name = j.kind_id
        WHERE w.verb <> 'defer' OR j.deferrals < w.most
        FOR NO KEY UPDATE OF j
    ), changed AS (
        UPDATE jobs_job j
        SET deferrals = j.deferrals + CASE WHEN t.verb = 'defer' THEN 1 ELSE 0 END,
            status = t.to_status,
        uncounted = j.uncounted + t.uncounts,
        run_at = CASE WHEN t.delay IS NULL OR t.to_status <> 'pending' THEN j.run_at
                      ELSE statement_timestamp() + t.delay END,
        error = COALESCE(t.error, j.error),
        claimed_by_id = NULL,
        deadline_at = NULL,
        finished_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE statement_timestamp() END,
        claimed_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.claimed_at END,
        started_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.started_at END,
        heartbeat_at = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.heartbeat_at END,
        progress = CASE WHEN t.to_status = 'pending' THEN NULL ELSE j.progress END,
        progress_note = CASE WHEN t.to_status = 'pending' THEN '' ELSE j.progress_note END,
        instance = ''
        FROM target t
        -- As of `lease.sql`.
        WHERE j.id = t.id AND CASE WHEN t.id > 0 THEN j.attempt = t.attempt AND j.claimed_by_id = t.bot END
        RETURNING t.turn, t.verb, j.id, j.attempt, t.kind_id AS kind, t.status AS previous_status, j.status, t.bot,
                  t.name, t.reason, t.error, t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.instance,
                  j.run_at, j.gated, j.group_name
    ), happened AS (
        SELECT c.*, 'bot' AS actor, c.name AS by,
               jsonb_strip_nulls(jsonb_build_object(
               'error', c.error, 'claimed_at', c.claimed_at, 'started_at', c.started_at,
               'heartbeat_at', c.heartbeat_at, 'progress', c.progress, 'instance', NULLIF(c.instance, ''))) AS detail
        FROM changed c
    ), event AS (
        INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at,
                           detail)
    SELECT h.id, h.attempt, h.verb, h.previous_status, h.status, h.bot, h.actor, h.by, h.reason, statement_timestamp(),
           h.detail
    FROM happened h
    ORDER BY h.id
    )
    SELECT array_agg(c.turn), array_agg(c.id),
           jsonb_agg(jsonb_build_object(
               'turn', c.turn, 'verb', c.verb, 'id', c.id, 'attempt', c.attempt, 'kind', c.kind,
               'previous_status', c.previous_status, 'status', c.status, 'reason', c.reason,
               'due', c.status = 'pending' AND c.run_at <= statement_timestamp()
           ) ORDER BY c.id),
           array_agg(c.kind::text) FILTER (WHERE c.gated), array_agg(c.group_name::text) FILTER (WHERE c.gated),
           array_agg(c.status = 'pending') FILTER (WHERE c.gated)
    INTO done_turns, done_ids, changed, gated_kinds, gated_groups, gated_pending
    FROM changed c;
END
$function$;

-- Turns: execute turns of bots in one call: the reports of each, then its claim. Returns one row for each known bot.
--
-- `turns` is a JSON list, each turn as `known_turns.sql` reads it. Several are turns of different bots that came at
-- the same time and ask for the same kinds; `bot_kinds` are those that the caller expects them to take. `outcome` is
-- `done`, or why nothing of a turn was done: `replaced` (a newer instance has come in its place, or it called goodbye),
-- `other_kinds` (the bot takes other kinds than expected: send it alone), `stuck` (send it with `grades`, and grade the
-- bot in the same transaction).
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
                       WHEN w.reports AND b.stuck_job_id IS NOT NULL AND NOT w.grades THEN 'stuck'
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
        SELECT b.id, b.status, (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) OR t.halted AS paused, b.kinds::text[], b.capacity IS NOT NULL AS limited,
               t.want > 0 AND b.instances_changed_at IS DISTINCT FROM t.changed_at AS moved,
               CASE
                   WHEN t.digest IS NOT NULL AND b.token_digest IS DISTINCT FROM t.digest THEN 'revoked'
                   WHEN t.reports AND b.stuck_job_id IS NOT NULL THEN 'stuck'
               END AS odd,
               CASE WHEN (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true)) OR t.halted OR t.restart OR (b.kinds::text[] <> bot_kinds AND cardinality(bots) > 1)
                    THEN 0 ELSE LEAST(t.probe, t.want) END AS want,
               t.always OR b.last_seen_at IS NULL OR b.last_seen_at < statement_timestamp() - seen_every
                   OR (b.health_status <> 'normal' AND (b.stuck_job_id IS NULL OR t.reports)) AS due
        FROM unnest(bots, known.digests, known.wants, known.always, known.reporting, known.restarts, known.halted,
                    known.changed_at, known.probes)
            AS t(id, digest, want, always, reports, restart, halted, changed_at, probe)
        JOIN bots_bot b ON b.id = t.id
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

-- Guard limits: keep whether a kind has a limit. Its number grows each time when it had none before: then its jobs have
-- to come into the lane of gated jobs first, and none of it is claimed until they have.
CREATE OR REPLACE FUNCTION jobs_guard_limits() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    NEW.limited := COALESCE(NEW.max_held, NEW.max_held_per_group, NEW.rate, NEW.rate_per_group) IS NOT NULL;
    IF TG_OP = 'UPDATE' THEN
        NEW.limited_no := OLD.limited_no + (NEW.limited AND NOT OLD.limited)::integer;
    ELSE
        NEW.limited_no := NEW.limited::integer;
    END IF;
    RETURN NEW;
END
$function$;

CREATE OR REPLACE TRIGGER jobs_guard_limits BEFORE INSERT OR UPDATE ON jobs_jobkind
FOR EACH ROW EXECUTE FUNCTION jobs_guard_limits();
