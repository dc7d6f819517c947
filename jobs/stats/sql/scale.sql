-- Scale: for each of these kinds how many of its jobs are due, and how many are held. `due` stops at `most`.
-- Steps from priority to priority in the indexes of both lanes, where jobs stand by `run_at`, as `oldest.sql` does: jobs
-- that are not due yet are not read. Nothing is due that nobody gets: of a kind that is paused or throttled, or too late.
WITH RECURSIVE asked AS (
    SELECT k.name AS kind, k.max_held, k.name IN ({closed}) AS closed
    FROM jobs_jobkind k
    WHERE k.name = ANY (%(kinds)s::text[])
), step AS (
    SELECT a.kind, j.priority, 1 AS n
    FROM asked a
    CROSS JOIN LATERAL (
        SELECT max(priority) AS priority FROM (
            (SELECT priority FROM jobs_job WHERE status = 'pending' AND NOT gated AND kind_id = a.kind
             ORDER BY priority DESC, run_at, id LIMIT 1)
            UNION ALL
            (SELECT priority FROM jobs_job WHERE status = 'pending' AND gated AND kind_id = a.kind
             ORDER BY priority DESC, run_at, id LIMIT 1)
        ) AS first_of_lanes
    ) j
    WHERE NOT a.closed AND j.priority IS NOT NULL
    UNION ALL
    SELECT s.kind, j.priority, s.n + 1
    FROM step s
    CROSS JOIN LATERAL (
        SELECT max(priority) AS priority FROM (
            (SELECT priority FROM jobs_job
             WHERE status = 'pending' AND NOT gated AND kind_id = s.kind AND priority < s.priority
             ORDER BY priority DESC, run_at, id LIMIT 1)
            UNION ALL
            (SELECT priority FROM jobs_job
             WHERE status = 'pending' AND gated AND kind_id = s.kind AND priority < s.priority
             ORDER BY priority DESC, run_at, id LIMIT 1)
        ) AS first_of_lanes
    ) j
    WHERE s.n < %(steps)s AND j.priority IS NOT NULL
), due AS (
    SELECT s.kind, LEAST(sum(d.n), %(most)s)::integer AS n
    FROM step s
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            (SELECT FROM jobs_job
             WHERE status = 'pending' AND NOT gated AND kind_id = s.kind AND priority = s.priority
               AND run_at <= statement_timestamp() AND (start_by IS NULL OR start_by > statement_timestamp())
             ORDER BY run_at, id LIMIT %(most)s)
            UNION ALL
            (SELECT FROM jobs_job
             WHERE status = 'pending' AND gated AND kind_id = s.kind AND priority = s.priority
               AND run_at <= statement_timestamp() AND (start_by IS NULL OR start_by > statement_timestamp())
             ORDER BY run_at, id LIMIT %(most)s)
            LIMIT %(most)s
        ) AS some_of_them
    ) d
    GROUP BY s.kind
), held AS (
    SELECT kind_id AS kind, count(*)::integer AS n
    FROM jobs_job
    WHERE claimed_by_id IS NOT NULL AND kind_id = ANY (%(kinds)s::text[])
    GROUP BY kind_id
)
SELECT a.kind, COALESCE(d.n, 0) AS due, COALESCE(h.n, 0) AS held, a.max_held
FROM asked a
LEFT JOIN due d USING (kind)
LEFT JOIN held h USING (kind)
ORDER BY a.kind;
