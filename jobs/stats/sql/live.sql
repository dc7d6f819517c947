-- Live: how many jobs of each of these kinds are pending, counted up to a limit, and how many are held.
SELECT o.kind, 'pending' AS status, (SELECT count(*) FROM (
    (SELECT 1 FROM jobs_job WHERE status = 'pending' AND NOT gated AND kind_id = o.kind
     ORDER BY priority DESC, run_at, id LIMIT %(most)s + 1)
    UNION ALL
    (SELECT 1 FROM jobs_job WHERE status = 'pending' AND gated AND kind_id = o.kind
     ORDER BY priority DESC, run_at, id LIMIT %(most)s + 1)
    LIMIT %(most)s + 1
) AS some_of_them) AS n
FROM unnest(%(own)s::text[]) AS o(kind)
UNION ALL
SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END, status, count(*)
FROM jobs_job
WHERE claimed_by_id IS NOT NULL
GROUP BY 1, 2;
