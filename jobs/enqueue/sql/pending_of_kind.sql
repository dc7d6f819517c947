-- Pending of kind: count the pending jobs of a kind, up to a limit.
SELECT count(*) AS n
FROM (SELECT FROM jobs_job
      WHERE status = 'pending' AND kind_id = %(kind)s
      ORDER BY priority DESC, run_at, id
      LIMIT %(most)s) AS some_of_them;
