-- Gate in: move some jobs of a kind that has limits now into the lane of gated jobs. No row: all are there.
--
-- A job that a claim has locked is waited for: it is pending or held after that, and moved at the next call.
WITH batch AS MATERIALIZED (
    (SELECT j.id FROM jobs_job j
     WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = %(kind)s
     ORDER BY j.priority DESC, j.run_at, j.id LIMIT %(most)s)
    UNION ALL
    (SELECT j.id FROM jobs_job j
     WHERE j.claimed_by_id IS NOT NULL AND NOT j.gated AND j.kind_id = %(kind)s
     LIMIT %(most)s)
), target AS (
    SELECT j.id FROM jobs_job j JOIN batch ON batch.id = j.id
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
), moved AS (
    UPDATE jobs_job j SET gated = true FROM target t WHERE j.id = t.id
)
SELECT id FROM batch;
