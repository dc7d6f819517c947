/* Probed: instances in quarantine that have just been given a job, and those that have completed one that they got
there. Claims that wait for the lock of such a bot read its instances again. */
IF known.probing THEN
        UPDATE bots_instance i
        SET probe_level = i.probe_level + 1,
            probe_at = statement_timestamp() + LEAST(
                {first_probe} * 2 ^ LEAST(i.probe_level + 1, {probe_doublings}), {longest_probe})
        FROM unnest(bots, known.own, counts) AS t(bot, own, n)
        WHERE i.bot_id = t.bot AND i.name = t.own AND t.n > 0 AND i.quarantined_at IS NOT NULL;
        UPDATE bots_instance i
        SET {well_again}
        FROM unnest(known.turns, bots, known.own, instances) AS p(turn, bot, own, instance)
        CROSS JOIN LATERAL jsonb_to_recordset(turns->(p.turn - 1)->'complete') AS w(id bigint, attempt integer)
        JOIN jobs_job j ON j.id = w.id AND j.attempt = w.attempt
        WHERE i.bot_id = p.bot AND i.name = p.own AND j.status = 'succeeded' AND j.finished_by_id = p.bot
          AND j.instance = ANY (ARRAY[p.own, p.instance]) AND j.claimed_at > i.quarantined_at;
        UPDATE bots_bot b SET instances_changed_at = statement_timestamp() WHERE b.id = ANY (bots);
    END IF;
