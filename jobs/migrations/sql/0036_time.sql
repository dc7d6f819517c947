-- Fail: end leases without success, by reports of their bots: failures, and leases that are handed back, or deferred:
-- with `run_in`, at most `most` times for each job.
-- Returns those whose reports held, each with its turn, and the change of each job, as JSON (`due`: it can be claimed).
CREATE OR REPLACE FUNCTION jobs_fail(
    turns jsonb, known integer[], bots bigint[], names text[],
    OUT done_turns integer[], OUT done_ids bigint[], OUT changed jsonb
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
                  t.name, t.reason, t.error, t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.instance, j.run_at
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
           ) ORDER BY c.id)
    INTO done_turns, done_ids, changed
    FROM changed c;
END
$function$;

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
        RETURNING l.turn, l.verb, j.id, j.attempt, j.status, j.deadline_at, round(EXTRACT(epoch FROM j.deadline_at - statement_timestamp()), 3) AS lease_for
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
    last_priority integer, last_run_at text, last_id bigint
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
    known record;
    locked record;
    again record;
    part record;
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
    unpaused text[];
    next_ids bigint[];
    turn_of integer[];
    at_priority integer := 2147483647;
    after_id bigint;
    after_at timestamptz;
    began timestamptz;
    touched boolean;
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
                             WHERE j.claimed_by_id = b.id AND j.instance = ANY (ARRAY[i.name, w.instance]) LIMIT 1) IS NULL
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
    ) t;
    IF known.others IS NOT NULL THEN
        RETURN QUERY SELECT o.turn, o.outcome, o.bot, o.name, o.instance, o.takes, NULL::text[], false, o.paused,
                            o.restart, false, '[]', 0, NULL, NULL, NULL::integer, NULL::integer, NULL::double precision,
                            NULL, NULL::integer, NULL, NULL::bigint
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
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END;
        GET DIAGNOSTICS held = ROW_COUNT;
    END IF;
    IF known.endings > 0 THEN
        part := jobs_fail(turns, known.turns, bots, known.names);
        done_turns := part.done_turns;
        done_ids := part.done_ids;
        changed := part.changed;
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
                             WHERE j.claimed_by_id = b.id AND j.instance = ANY (ARRAY[i.name, w.instance]) LIMIT 1) IS NULL
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
    kinds := CASE
        WHEN cardinality(locked.kinds) = 0 THEN asked
        WHEN asked IS NULL THEN locked.kinds
        ELSE ARRAY(SELECT unnest(locked.kinds) INTERSECT SELECT unnest(asked) ORDER BY 1)
    END;
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
                          WHERE NOT EXISTS (SELECT FROM jobs_jobkind k WHERE k.name = wanted AND k.paused));
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
                                WHERE j.status = 'pending' AND j.priority < at_priority
                                ORDER BY j.priority DESC LIMIT 1);
            ELSE
                at_priority := (SELECT max(p.priority) FROM unnest(unpaused) AS wanted CROSS JOIN LATERAL (
                                    SELECT j.priority FROM jobs_job j
                                    WHERE j.status = 'pending' AND j.kind_id = wanted AND j.kind_id BETWEEN wanted AND wanted AND j.priority < at_priority
                                    ORDER BY j.priority DESC LIMIT 1
                                ) p);
            END IF;
            EXIT WHEN at_priority IS NULL;
        END IF;
        i := i + 1;
        IF kinds IS NULL THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND j.priority = at_priority AND j.run_at <= statement_timestamp()
                  AND (j.run_at, j.id) > (after_at, after_id)
                  AND COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp() AND COALESCE(j.not_for_until <= statement_timestamp() OR j.not_for <> ALL (known.own_ids), true)
                  AND NOT COALESCE(j.kind_id = ANY (ARRAY(SELECT k.name FROM jobs_jobkind k WHERE k.paused)), false)
                ORDER BY j.run_at, j.id
                LIMIT wanted_all - cardinality(picked)
                FOR NO KEY UPDATE OF j SKIP LOCKED
            );
        ELSIF cardinality(unpaused) = 1 THEN
            picked := picked || ARRAY(
                SELECT j.id FROM jobs_job j
                WHERE j.status = 'pending' AND j.kind_id = unpaused[1] AND j.kind_id BETWEEN unpaused[1] AND unpaused[1] AND j.priority = at_priority
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
                        WHERE j.status = 'pending' AND j.kind_id = wanted AND j.kind_id BETWEEN wanted AND wanted AND j.priority = at_priority
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
                    WHERE j.id = ANY (next_ids) AND j.status = 'pending' AND j.run_at <= statement_timestamp()
                    ORDER BY j.run_at, j.id
                    FOR NO KEY UPDATE OF j SKIP LOCKED
                );
                EXIT WHEN cardinality(picked) >= wanted_all;
            END LOOP;
        END IF;
        EXIT WHEN cardinality(picked) >= wanted_all;
    END LOOP;
        found_all := cardinality(picked);
        took := EXTRACT(epoch FROM clock_timestamp() - began);
        at := statement_timestamp()::text;
        IF cardinality(priorities) > 0 OR took > EXTRACT(epoch FROM slow) THEN
            SELECT j.priority, j.run_at::text, j.id INTO last_priority, last_run_at, last_id
            FROM jobs_job j WHERE j.id = picked[found_all];
        END IF;
    END IF;
    IF found_all > 0 THEN
        turn_of := CASE WHEN cardinality(wants) = 1 THEN array_fill(1, ARRAY[wanted_all]) ELSE ARRAY(
            SELECT p.place
            FROM unnest(wants) WITH ORDINALITY AS p(want, place) CROSS JOIN generate_series(1, p.want) AS slot
            ORDER BY slot, p.place
        ) END;
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
                SELECT p.id, turn_of[p.n] AS place, bots[turn_of[p.n]] AS bot, instances[turn_of[p.n]] AS instance,
                       CASE WHEN starting[turn_of[p.n]] THEN 'processing' ELSE 'claimed' END AS status,
                       statement_timestamp() AS claimed_at, statement_timestamp() AS heartbeat_at,
                       CASE WHEN starting[turn_of[p.n]] THEN statement_timestamp() END AS started_at,
                       COALESCE((SELECT s.epoch FROM jobsite_site s WHERE s.id = 1), 0) AS epoch
                FROM unnest(picked) WITH ORDINALITY AS p(id, n)
            ) l
            WHERE j.id = l.id AND k.name = j.kind_id AND CASE WHEN l.id > 0 THEN j.status = 'pending' END
            RETURNING l.place, j.id, j.kind_id AS kind, j.attempt, j.max_attempts, j.payload, j.priority, j.key,
                      j.run_at, j.deadline_at, round(EXTRACT(epoch FROM j.deadline_at - statement_timestamp()), 3) AS lease_for
        ), given AS MATERIALIZED (
            SELECT c.place, count(*) AS n, json_agg(r ORDER BY c.priority DESC, c.run_at, c.id)::text AS jobs
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
