/* Instances seen: the rows of the turns' processes, and what they asked for. One without a name is asked to restart
once, and has its row from its first claim. */
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
