-- Came due: when the pending jobs of a kind that are due now became due, by the hour, of the first so many of its queue.
-- What became due before the first hour counts to it.
SELECT LEAST(GREATEST(EXTRACT(epoch FROM statement_timestamp() - run_at)::integer / 3600, 0), %(hours)s - 1) AS ago,
       count(*) AS n
FROM (
    (SELECT run_at FROM jobs_job WHERE status = 'pending' AND NOT gated AND kind_id = %(kind)s
     ORDER BY priority DESC, run_at, id LIMIT %(most)s)
    UNION ALL
    (SELECT run_at FROM jobs_job WHERE status = 'pending' AND gated AND kind_id = %(kind)s
     ORDER BY priority DESC, run_at, id LIMIT %(most)s)
    LIMIT %(most)s
) AS some_of_them
WHERE run_at <= statement_timestamp()
GROUP BY 1;
