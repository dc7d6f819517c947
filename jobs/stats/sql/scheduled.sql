-- Scheduled: pending jobs whose time has not come, the soonest first. Steps from priority to priority in the index.
WITH RECURSIVE step AS (
    (SELECT priority, 1 AS n FROM jobs_job WHERE status = 'pending' ORDER BY priority DESC, run_at, id LIMIT 1)
    UNION ALL
    SELECT j.priority, s.n + 1
    FROM step s
    CROSS JOIN LATERAL (SELECT priority FROM jobs_job
                        WHERE status = 'pending' AND priority < s.priority
                        ORDER BY priority DESC, run_at, id
                        LIMIT 1) j
    -- Somebody may give every job a priority of its own.
    WHERE s.n < %(steps)s
)
SELECT j.id, j.run_at, j.kind_id AS kind
FROM step s
CROSS JOIN LATERAL (SELECT id, run_at, kind_id FROM jobs_job
                    WHERE status = 'pending' AND priority = s.priority AND run_at > statement_timestamp()
                    ORDER BY run_at, id
                    LIMIT %(most)s) j
ORDER BY j.run_at, j.id
LIMIT %(most)s;
