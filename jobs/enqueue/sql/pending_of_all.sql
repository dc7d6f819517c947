-- Pending of all: count the pending jobs of all kinds, up to a limit.
SELECT count(*) AS n
FROM (SELECT FROM jobs_job
      WHERE status = 'pending'
      ORDER BY priority DESC, run_at, id
      LIMIT %(most)s) AS some_of_them;
