-- Queues: of each of these kinds how many jobs are pending and due, counted up to a limit, and how many are held.
SELECT k.name AS kind, p.pending, p.due, COALESCE(h.held, 0) AS held,
       (SELECT (pending ->> k.name)::bigint FROM jobs_rollupstate) AS swept
FROM unnest(%(kinds)s::text[]) AS k(name)
CROSS JOIN LATERAL (
    SELECT count(*) AS pending, count(*) FILTER (WHERE run_at <= statement_timestamp()) AS due
    FROM (
        (SELECT run_at FROM jobs_job WHERE status = 'pending' AND NOT gated AND kind_id = k.name
         ORDER BY priority DESC, run_at, id LIMIT %(most)s + 1)
        UNION ALL
        (SELECT run_at FROM jobs_job WHERE status = 'pending' AND gated AND kind_id = k.name
         ORDER BY priority DESC, run_at, id LIMIT %(most)s + 1)
        LIMIT %(most)s + 1
    ) AS some_of_them
) p
LEFT JOIN (
    SELECT kind_id, count(*) AS held FROM jobs_job WHERE claimed_by_id IS NOT NULL GROUP BY kind_id
) h ON h.kind_id = k.name;
