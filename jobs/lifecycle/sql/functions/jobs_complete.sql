-- Complete: leases end well, with their results. Returns those whose reports held, each with the turn it is of.
CREATE OR REPLACE FUNCTION jobs_complete(
    turns jsonb, known integer[], bots bigint[], OUT done_turns integer[], OUT done_ids bigint[]
)
LANGUAGE plpgsql VOLATILE
AS $function$
BEGIN
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
            SELECT p.turn, p.bot, w.id, w.attempt, w.result
            FROM unnest(known, bots) AS p(turn, bot)
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'complete')
                AS w(id bigint, attempt integer, result jsonb)
            ORDER BY w.id
        ) w
        WHERE {lease}
        RETURNING w.turn, j.id
    )
    SELECT array_agg(d.turn), array_agg(d.id) INTO done_turns, done_ids FROM done d;
END
$function$;
