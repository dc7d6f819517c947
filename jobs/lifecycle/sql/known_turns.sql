/* Known turns: those whose bots are known, by the order in which bots are locked, one entry for each in every array.
A turn is `{digest | bot, instance, limit, starts}`, each of its reports in a list under its verb (`complete`, `fail`,
`release`, `start`, `heartbeat`), and where that is meant `slots` (all of its process, and those lost), `version`,
`always` (write that the bot was seen, however lately it was) and `grades` (the caller grades the bot in this transaction). A turn without `instance` is of no
process. One of a process that has never called hello is of the instance without a name; `own` is the instance's name,
`stale`: its row is to be written, `halted`: it is paused by itself, `probes`: what it may have in quarantine. */
SELECT array_agg(t.turn) FILTER (WHERE t.fine) AS turns, array_agg(t.id) FILTER (WHERE t.fine) AS bots,
           array_agg(t.name) FILTER (WHERE t.fine) AS names, array_agg(t.digest) FILTER (WHERE t.fine) AS digests,
           array_agg(t.instance) FILTER (WHERE t.fine) AS instances, array_agg(t.want) FILTER (WHERE t.fine) AS wants,
           array_agg(t.starts) FILTER (WHERE t.fine) AS starting, array_agg(t.always) FILTER (WHERE t.fine) AS always,
           array_agg(t.reports) FILTER (WHERE t.fine) AS reporting, bool_or(t.grades) AS grades,
           array_agg(t.own) FILTER (WHERE t.fine) AS own, array_agg(t.restart) FILTER (WHERE t.fine) AS restarts,
           array_agg(t.instances_changed_at) FILTER (WHERE t.fine) AS changed_at,
           array_agg(t.stale) FILTER (WHERE t.fine) AS stale, array_agg(t.halted) FILTER (WHERE t.fine) AS halted,
           array_agg(t.own_id) FILTER (WHERE t.fine) AS own_ids, array_agg(t.probe) FILTER (WHERE t.fine) AS probes,
           bool_or(t.probe IS NOT NULL) FILTER (WHERE t.fine) AS probing,
           COALESCE(sum(t.completions) FILTER (WHERE t.fine), 0) AS completions,
           COALESCE(sum(t.endings) FILTER (WHERE t.fine), 0) AS endings,
           COALESCE(sum(t.renewals) FILTER (WHERE t.fine), 0) AS renewals,
           jsonb_agg(jsonb_build_object(
               'turn', t.turn, 'outcome', t.outcome, 'bot', t.id, 'name', t.name, 'instance', t.newer,
               'takes', array_to_json(t.kinds)::text, 'paused', t.paused, 'restart', t.restart
           )) FILTER (WHERE NOT t.fine) AS others
    INTO known
    FROM (
        SELECT w.*, w.outcome = 'done' AS fine, COALESCE(w.unseen, false) OR w.restart AND w.own = '' AS stale
        FROM (
            SELECT w.*, b.id, b.name, b.kinds, b.paused OR i.paused IS TRUE AS paused, i.paused IS TRUE AS halted,
                   b.instances_changed_at, COALESCE(i.name, '') AS own,
                   i.id AS own_id, {probe} AS probe, {newer} AS newer,
                   COALESCE(i.restart_requested_at IS NOT NULL AND (i.name <> '' OR w.want > 0 OR NOT w.reports), false)
                       AS restart,
                   CASE WHEN i.name IS NULL THEN w.want > 0
                        ELSE w.always OR i.last_seen_at < statement_timestamp() - seen_every
                             OR (w.want > 0 AND i.asked_kinds::text[] IS DISTINCT FROM asked)
                             OR (i.slots, i.slots_lost) <> (w.slots, w.slots_lost)
                             OR (i.slots IS NULL AND w.slots IS NOT NULL)
                   END AS unseen,
                   CASE
                       WHEN (w.want > 0 OR NOT w.reports) AND {newer} IS NOT NULL THEN 'replaced'
                       WHEN {about_stuck} AND NOT w.grades THEN 'stuck'
                       WHEN b.kinds <> bot_kinds AND jsonb_array_length(turns) > 1 THEN 'other_kinds'
                       ELSE 'done'
                   END AS outcome
            FROM (
                SELECT s.*, s.completions + s.endings + s.renewals > 0 AS reports
                FROM (
                    SELECT turn::integer AS turn, decode(s.sent->>'digest', 'hex') AS digest,
                           (s.sent->>'bot')::bigint AS bot, s.sent->>'instance' AS instance,
                           (s.sent->>'limit')::integer AS want,
                           (s.sent->>'starts')::boolean AS starts, s.sent ?| '{always,version}' AS always,
                           s.sent ? 'grades' AS grades, (s.sent->'slots'->>0)::integer AS slots,
                           (s.sent->'slots'->>1)::integer AS slots_lost,
                           COALESCE(jsonb_array_length(s.sent->'complete'), 0) AS completions,
                           COALESCE(jsonb_array_length(s.sent->'fail'), 0)
                               + COALESCE(jsonb_array_length(s.sent->'release'), 0) AS endings,
                           COALESCE(jsonb_array_length(s.sent->'heartbeat'), 0)
                               + COALESCE(jsonb_array_length(s.sent->'start'), 0) AS renewals
                    FROM jsonb_array_elements(turns) WITH ORDINALITY AS s(sent, turn)
                ) s
                OFFSET 0 -- So each value is computed once, and not at each place that uses it.
            ) w
            CROSS JOIN LATERAL (
                SELECT b.id, b.name, b.kinds::text[], b.stuck_job_id, b.instances_changed_at, b.instance, {paused} AS paused
                FROM bots_bot b WHERE w.bot IS NULL AND b.token_digest = w.digest
                UNION ALL
                SELECT b.id, b.name, b.kinds::text[], b.stuck_job_id, b.instances_changed_at, b.instance, {paused} AS paused
                FROM bots_bot b WHERE b.id = w.bot
            ) b
            LEFT JOIN LATERAL ({instance}) i ON true
            ORDER BY b.id
        ) w
        OFFSET 0
    ) t;
