-- Gate out: move some pending jobs without a group, of a kind that has no limits any more, back into the shared lane.
WITH target AS (
    SELECT j.id FROM jobs_job j JOIN (
        SELECT j.id FROM jobs_job j
        WHERE j.status = 'pending' AND j.gated AND j.kind_id = %(kind)s AND j.group_name = ''
        ORDER BY j.priority DESC, j.run_at, j.id LIMIT %(most)s
    ) batch ON batch.id = j.id
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
)
UPDATE jobs_job j SET gated = false
FROM target t, jobs_jobkind k
WHERE j.id = t.id AND j.status = 'pending' AND j.group_name = '' AND k.name = j.kind_id AND NOT k.limited
RETURNING j.id;
