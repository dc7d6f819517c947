-- Fail: end leases without success, by reports of their bots: failures, and leases that are handed back.
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
               j.heartbeat_at, j.progress, j.kind_id,
               CASE WHEN w.verb = 'fail' THEN k.backoff * ((2 ^ LEAST(GREATEST(mod(j.attempt, 1000000) - j.uncounted - 1, 0), 10))
             * (1 + 0.25 * (2 * random() - 1))) END AS delay,
               CASE WHEN w.verb = 'fail' THEN 0 ELSE 1 END AS uncounts,
               CASE WHEN w.verb = 'fail' THEN CASE WHEN w.retry AND mod(j.attempt, 1000000) - j.uncounted < j.max_attempts THEN 'pending' ELSE 'failed' END ELSE 'pending' END AS to_status
        FROM (
            SELECT p.turn, p.bot, p.name, verb, w.id, w.attempt, w.error, COALESCE(w.retry, true) AS retry,
                   COALESCE(w.reason, w.error, '') AS reason
            FROM unnest(known, bots, names) AS p(turn, bot, name)
            CROSS JOIN unnest('{fail,release}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb)
                AS w(id bigint, attempt integer, error text, retry boolean, reason text)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
        JOIN jobs_jobkind k ON k.name = j.kind_id
        FOR NO KEY UPDATE OF j
    ), changed AS (
        UPDATE jobs_job j
        SET status = t.to_status,
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
                  t.name, t.reason, t.error, t.claimed_at, t.started_at, t.heartbeat_at, t.progress, j.run_at
    ), happened AS (
        SELECT c.*, 'bot' AS actor, c.name AS by,
               jsonb_strip_nulls(jsonb_build_object(
               'error', c.error, 'claimed_at', c.claimed_at, 'started_at', c.started_at,
               'heartbeat_at', c.heartbeat_at, 'progress', c.progress)) AS detail
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
