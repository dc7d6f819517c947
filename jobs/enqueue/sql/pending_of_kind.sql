-- Pending of kind: count the pending jobs of a kind, each lane up to a limit.
SELECT (SELECT count(*) FROM (SELECT FROM jobs_job
                              WHERE status = 'pending' AND NOT gated AND kind_id = %(kind)s
                              ORDER BY priority DESC, run_at, id
                              LIMIT %(most)s) AS some_of_them)
     + (SELECT count(*) FROM (SELECT FROM jobs_job
                              WHERE status = 'pending' AND gated AND kind_id = %(kind)s
                              ORDER BY priority DESC, run_at, id
                              LIMIT %(most)s) AS some_of_them) AS n;
