/* Instance: of bot b, the one whose process takes turn w: that of its name or, where there is none, of the empty name.
`newer`: which has come in its place, empty where it called goodbye, NULL where it is current. */
SELECT i.id, i.name, i.restart_requested_at, i.last_seen_at, i.asked_kinds, i.slots, i.slots_lost, i.quarantined_at, i.probe_at,
                       i.paused AND COALESCE(i.paused_until > statement_timestamp(), true) AS paused,
                       CASE WHEN i.ended_at IS NOT NULL THEN i.replaced_by END AS newer
                FROM bots_instance i
                WHERE i.bot_id = b.id AND i.name = ANY (ARRAY[w.instance, '']) AND w.instance IS NOT NULL
                ORDER BY i.name DESC LIMIT 1
