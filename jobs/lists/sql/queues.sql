-- Queues: of each of these kinds how many jobs are pending and due, counted up to a limit, and how many are held.
-- Nothing is due that nobody gets: of a closed kind, or too late (as in scale.sql). What is too late is dropped within
-- seconds; its own index has it, so that the others' need not.
SELECT k.name AS kind, p.pending,
       CASE WHEN k.name IN ({closed}) THEN 0 ELSE GREATEST(p.due - COALESCE(l.n, 0), 0) END AS due,
       COALESCE(h.held, 0) AS held, (SELECT (pending ->> k.name)::bigint FROM jobs_rollupstate) AS swept
FROM jobs_jobkind k
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
) h ON h.kind_id = k.name
LEFT JOIN (
    SELECT kind_id, count(*) AS n FROM jobs_job
    WHERE status = 'pending' AND start_by <= statement_timestamp() AND run_at <= statement_timestamp()
    GROUP BY kind_id
) l ON l.kind_id = k.name
WHERE k.name = ANY (%(kinds)s::text[]);
