/* Locked jobs: all whose leases these turns report on and hold, by id, when a call has more than one sort of report. */
PERFORM FROM (
            SELECT w.id, w.attempt, p.bot
            FROM unnest(known.turns, known.bots) AS p(turn, bot)
            CROSS JOIN unnest('{complete,fail,release,start,heartbeat}'::text[]) AS verb
            CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->verb) AS w(id bigint, attempt integer)
            ORDER BY w.id
        ) w
        JOIN jobs_job j ON {lease}
        FOR NO KEY UPDATE OF j;
