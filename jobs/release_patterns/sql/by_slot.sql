-- By slot: the leases of each kind that ended in some hours, added up in slots of hours such as all Mondays: those that
-- were returned in ways that count, and all. Each slot is added up by itself, of rows that the index finds by their
-- starts: all at once they would have more groups than PostgreSQL keeps in memory, and it would sort all rows.
SELECT s.slot, r.kind, r.given, r.ended
FROM (SELECT slot, array_agg(start) AS starts
      FROM unnest(%(slots)s::text[], %(starts)s::timestamptz[]) AS u(slot, start)
      GROUP BY slot) AS s
CROSS JOIN LATERAL (
    SELECT kind, sum({given})::bigint AS given, sum({ended})::bigint AS ended
    FROM jobs_jobrollup
    -- Those of all kinds together would count everything twice.
    WHERE span = 'hour' AND start = ANY (s.starts) AND kind <> ''
    GROUP BY kind
) AS r;
