-- Recent: of each of these kinds how many jobs ended in the last minutes, in bars of some minutes each, the oldest first,
-- and how many leases.
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
SELECT e.kind, sum(e.succeeded)::bigint AS succeeded, sum(e.failed)::bigint AS failed, sum(e.leases)::bigint AS leases,
       array_agg(e.n ORDER BY e.ago DESC) AS bars
FROM (SELECT k.kind, n.ago, COALESCE(sum(e.n), 0)::bigint AS n, COALESCE(sum(e.succeeded), 0) AS succeeded,
             COALESCE(sum(e.failed), 0) AS failed, COALESCE(sum(e.leases), 0) AS leases
      FROM (SELECT DISTINCT kind FROM ended) k
      CROSS JOIN generate_series(0, %(minutes)s / %(bar)s - 1) AS n(ago)
      LEFT JOIN ended e ON e.kind = k.kind AND e.ago = n.ago
      GROUP BY 1, 2) e
GROUP BY e.kind;
