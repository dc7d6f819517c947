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
        JOIN jobs_job j ON {lease}
        FOR NO KEY UPDATE OF j
    ), changed AS (
        UPDATE jobs_job j
        SET status = l.status,
            started_at = l.started_at,
            heartbeat_at = l.heartbeat_at,
            deadline_at = {deadline},
            progress = COALESCE(l.progress, j.progress),
            progress_note = COALESCE(l.note, j.progress_note)
        FROM target l
        JOIN jobs_jobkind k ON k.name = l.kind_id
        -- As of `lease.sql`.
        WHERE j.id = l.id AND CASE WHEN l.id > 0 THEN j.attempt = l.attempt AND j.claimed_by_id = l.bot END
        RETURNING l.turn, l.verb, j.id, j.attempt, j.status, j.deadline_at, {lease_for} AS lease_for
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
