-- Well: for each of these kinds the bots and identities of instances that are well and ask for it, but two at most: with
-- two there is another for each.
SELECT k.kind, w.bot, w.identity
FROM unnest(%(kinds)s::text[]) AS k(kind)
CROSS JOIN LATERAL (
    SELECT DISTINCT i.bot_id AS bot, i.identity
    FROM bots_instance i JOIN bots_bot b ON b.id = i.bot_id
    WHERE i.ended_at IS NULL AND i.last_seen_at >= statement_timestamp() - %(within)s
      AND i.quarantined_at IS NULL AND i.restart_requested_at IS NULL AND b.token_digest IS NOT NULL
      AND NOT (b.paused AND COALESCE(b.paused_until > statement_timestamp(), true))
      AND NOT (i.paused AND COALESCE(i.paused_until > statement_timestamp(), true))
      AND COALESCE(i.slots > i.slots_lost, true)
      AND (b.kinds = '{}' OR k.kind = ANY (b.kinds)) AND (i.asked_kinds IS NULL OR k.kind = ANY (i.asked_kinds))
    ORDER BY i.bot_id, i.identity
    LIMIT 2
) w;
