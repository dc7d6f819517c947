-- Pending of all: count the pending jobs of all kinds, each lane up to a limit.
SELECT (SELECT count(*) FROM (SELECT FROM jobs_job
                              WHERE status = 'pending' AND NOT gated
                              ORDER BY priority DESC, run_at, id
                              LIMIT %(most)s) AS some_of_them)
     + (SELECT count(*) FROM (SELECT FROM jobs_job
                              WHERE status = 'pending' AND gated
                              ORDER BY kind_id, priority DESC, run_at, id
                              LIMIT %(most)s) AS some_of_them) AS n;
