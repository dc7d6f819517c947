/* Finished between: what ended from one moment to another, kind by kind, each through its stretch of the index
   `job_finished_of_kind`. OFFSET, so that PostgreSQL never makes a join of it and reads all jobs. */
jobs_jobkind
CROSS JOIN LATERAL (
    SELECT kind_id, status, run_at, created_at, claimed_at, started_at, finished_at, finished_by_id,
           xmin AS written_by
    FROM jobs_job
    WHERE kind_id = jobs_jobkind.name AND status IN ('succeeded', 'failed', 'cancelled')
      AND finished_at >= %(since)s AND finished_at < %(until)s
    OFFSET 0
) AS finished
