-- Fail: end leases without success, by reports of their bots: failures, and leases that are handed back.
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
               CASE WHEN w.verb = 'fail' THEN {backoff} END AS delay,
               CASE WHEN w.verb = 'fail' THEN 0 ELSE 1 END AS uncounts,
               CASE WHEN w.verb = 'fail' THEN {again} ELSE 'pending' END AS to_status
        FROM (
            SELECT p.turn, p.bot, p.name, verb, w.id, w.attempt, w.error, COALESCE(w.retry, true) AS retry,
                   COALESCE(w.reason, w.error, '') AS reason
            FROM unnest(known, bots, names) AS p(turn, bot, name)
            CROSS JOIN unnest('{fail,release}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb)
                AS w(id bigint, attempt integer, error text, retry boolean, reason text)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON {lease}
        JOIN jobs_jobkind k ON k.name = j.kind_id
        FOR NO KEY UPDATE OF j
    ), changed AS (
        UPDATE jobs_job j
        SET {ended}
        FROM target t
        -- As of `lease.sql`.
        WHERE j.id = t.id AND CASE WHEN t.id > 0 THEN j.attempt = t.attempt AND j.claimed_by_id = t.bot END
        RETURNING t.turn, t.verb, j.id, j.attempt, t.kind_id AS kind, t.status AS previous_status, j.status, t.bot,
                  t.name, t.reason, t.error, t.claimed_at, t.started_at, t.heartbeat_at, t.progress, t.instance,
                  j.run_at, j.gated, j.group_name
    ), happened AS (
        SELECT c.*, 'bot' AS actor, c.name AS by,
               {lease_detail} AS detail
        FROM changed c
    ), event AS (
        {event}
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
