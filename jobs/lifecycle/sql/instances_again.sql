/* Instances again: what the turns' processes may have now, where their bots' instances changed since the look-up. */
SELECT array_agg(CASE WHEN t.newer IS NULL AND NOT t.restart AND NOT t.halted THEN LEAST(t.probe, t.want) ELSE 0 END ORDER BY t.place) AS wants,
           array_agg(t.restart ORDER BY t.place) AS restarts, array_agg(t.newer ORDER BY t.place) AS newer,
           bool_or(t.probe IS NOT NULL) AS probing
    INTO again
    FROM (
        SELECT w.want, w.place, {probe} AS probe, {newer} AS newer, i.paused IS TRUE AS halted,
               COALESCE(i.restart_requested_at IS NOT NULL AND i.name <> '', false) AS restart
        FROM unnest(bots, instances, wants) WITH ORDINALITY AS w(bot, instance, want, place)
        JOIN bots_bot b ON b.id = w.bot
        LEFT JOIN LATERAL ({instance}) i ON true
    ) t;
    wants := again.wants;
    known.restarts := again.restarts;
    known.probing := known.probing OR again.probing;
    newer := again.newer;
