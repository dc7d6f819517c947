/* Leases completed: those that end well, with their results, where the reports hold; `held` is how many. */
WITH done AS (
        UPDATE jobs_job j
        SET status = 'succeeded',
            result = w.result,
            error = '',
            started_at = COALESCE(j.started_at, statement_timestamp()),
            finished_at = statement_timestamp(),
            finished_by_id = j.claimed_by_id,
            {holder_cleared},
            progress = CASE WHEN j.progress IS NULL THEN NULL ELSE 100 END
        FROM (
            SELECT p.bot, w.id, w.attempt, w.result
            FROM unnest(known.turns, bots) AS p(turn, bot)
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'complete')
                AS w(id bigint, attempt integer, result jsonb)
            ORDER BY w.id
        ) w
        WHERE {lease}
        RETURNING CASE WHEN j.gated THEN j.kind_id END AS kind, j.group_name
        )
        SELECT count(*) AS n, array_agg(d.kind::text) FILTER (WHERE d.kind IS NOT NULL) AS gated_kinds,
               array_agg(d.group_name::text) FILTER (WHERE d.kind IS NOT NULL) AS gated_groups,
               array_agg(false) FILTER (WHERE d.kind IS NOT NULL) AS gated_pending
        INTO part
        FROM done d;
        held := part.n;
        {gates_ended}
