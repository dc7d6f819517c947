-- Site begins: begin a new epoch, unless another process was first. Returns it, and each sequence of ids: where it was,
-- and where it is now; NULL for one that this role may not move.
WITH begun AS (
    UPDATE jobsite_site s
    SET epoch = s.epoch + 1,
        began_at = clock_timestamp(),
        cluster = COALESCE(%(cluster)s::bigint, s.cluster),
        timeline = COALESCE(%(timeline)s::bigint, s.timeline),
        database = %(database)s,
        alerts_held_since = CASE WHEN %(hold)s THEN COALESCE(s.alerts_held_since, clock_timestamp())
                                 ELSE s.alerts_held_since END
    WHERE s.id = 1 AND s.epoch = %(epoch)s::integer
    RETURNING s.epoch, s.began_at
)
-- What is done to the sequences is done after the join: not at all where another process was first.
SELECT b.epoch, b.began_at, ids.name, ids.was,
       CASE WHEN has_sequence_privilege(ids.oid, 'UPDATE') THEN setval(ids.oid, ids.was + %(gap)s::bigint) END AS is
FROM begun b
LEFT JOIN (
    SELECT c.oid, c.relname::text AS name,
           CASE WHEN has_sequence_privilege(c.oid, 'USAGE, SELECT')
                THEN COALESCE(pg_sequence_last_value(c.oid), 0) END AS was
    FROM pg_sequence q
    JOIN pg_class c ON c.oid = q.seqrelid
    -- Ids of type `integer` are those of Django's own tables. They have no room for this, and go nowhere.
    WHERE q.seqtypid = 'bigint'::regtype
      AND c.relnamespace = (SELECT t.relnamespace FROM pg_class t WHERE t.oid = 'jobsite_site'::regclass)
) ids ON true
ORDER BY ids.name;
