-- Scheduled: pending jobs whose time has not come, the soonest first. Steps from priority to priority in the index, and in
-- the lane of gated jobs from kind to kind as well.
WITH RECURSIVE step AS (
    (SELECT priority, 1 AS n FROM jobs_job WHERE status = 'pending' AND NOT gated
     ORDER BY priority DESC, run_at, id LIMIT 1)
    UNION ALL
    SELECT j.priority, s.n + 1
    FROM step s
    CROSS JOIN LATERAL (SELECT priority FROM jobs_job
                        WHERE status = 'pending' AND NOT gated AND priority < s.priority
                        ORDER BY priority DESC, run_at, id
                        LIMIT 1) j
    -- Somebody may give every job a priority of its own.
    WHERE s.n < %(steps)s
), gated_step AS (
    (SELECT kind_id, priority, 1 AS n FROM jobs_job WHERE status = 'pending' AND gated
     ORDER BY kind_id, priority DESC, run_at, id LIMIT 1)
    UNION ALL
    SELECT j.kind_id, j.priority, s.n + 1
    FROM gated_step s
    CROSS JOIN LATERAL (
        (SELECT kind_id, priority FROM jobs_job
         WHERE status = 'pending' AND gated AND kind_id = s.kind_id AND priority < s.priority
         ORDER BY kind_id, priority DESC, run_at, id LIMIT 1)
        UNION ALL
        (SELECT kind_id, priority FROM jobs_job
         WHERE status = 'pending' AND gated AND kind_id > s.kind_id
         ORDER BY kind_id, priority DESC, run_at, id LIMIT 1)
        ORDER BY kind_id LIMIT 1
    ) j
    WHERE s.n < %(steps)s
)
SELECT j.id, j.kind_id AS kind
FROM (
    SELECT j.* FROM step s CROSS JOIN LATERAL (
        SELECT id, run_at, kind_id FROM jobs_job
        WHERE status = 'pending' AND NOT gated AND priority = s.priority AND run_at > statement_timestamp()
        ORDER BY run_at, id LIMIT %(most)s
    ) j
    UNION ALL
    SELECT j.* FROM gated_step s CROSS JOIN LATERAL (
        SELECT id, run_at, kind_id FROM jobs_job
        WHERE status = 'pending' AND gated AND kind_id = s.kind_id AND priority = s.priority
          AND run_at > statement_timestamp()
        ORDER BY run_at, id LIMIT %(most)s
    ) j
) j
ORDER BY j.run_at, j.id
LIMIT %(most)s;
