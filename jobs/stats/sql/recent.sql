-- Recent: of each of these kinds how many jobs ended in the last minutes, in bars of some minutes each with how many bars
-- ago that was, and how many leases.
-- Until when all is counted, not until now: the last minutes would look as if nothing ended in them.
WITH clock AS (
    SELECT COALESCE((SELECT added_until FROM jobs_rollupstate), statement_timestamp()) AS until
), ended AS (
    SELECT r.kind, (EXTRACT(epoch FROM c.until - r.start)::integer - 60) / (60 * %(bar)s) AS ago,
           r.succeeded, r.failed, r.succeeded + r.failed + r.cancelled AS n, r.leases_ended AS leases
    FROM clock c
    JOIN jobs_jobrollup r ON r.span = 'minute' AND r.start >= c.until - %(minutes)s * interval '1 minute'
                         AND r.start < c.until AND r.bot = 0
    -- A row may have the backlog alone.
    WHERE r.kind = ANY (%(kinds)s::text[]) AND r.leases_ended + r.succeeded + r.failed + r.cancelled > 0
)
SELECT kind, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed, sum(leases)::bigint AS leases,
       array_agg(ago) AS agos, array_agg(n) AS ends
FROM (SELECT kind, ago, sum(n)::bigint AS n, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed,
             sum(leases)::bigint AS leases
      FROM ended
      GROUP BY kind, ago) AS bars
GROUP BY kind;
