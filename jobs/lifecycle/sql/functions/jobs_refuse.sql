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
                   SELECT s.began_at FROM jobsite_site s WHERE s.id = 1 AND s.epoch <> w.attempt / {epoch}
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
        {event}
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
