-- Oldest: for each of these kinds, or of all, the pending job that has been due for longest, since `run_at` or since it
-- was enqueued. Steps from priority to priority in the indexes of both lanes, where jobs stand by `run_at`. `closed`:
-- nobody gets it, since its kind is paused or throttled.
WITH RECURSIVE step AS (
    SELECT k.name AS kind, k.paused, j.priority, j.run_at, j.id, j.created_at, 1 AS n
    FROM jobs_jobkind k
    CROSS JOIN LATERAL (
        (SELECT priority, run_at, id, created_at FROM jobs_job
         WHERE status = 'pending' AND NOT gated AND kind_id = k.name
         ORDER BY priority DESC, run_at, id
         LIMIT 1)
        UNION ALL
        (SELECT priority, run_at, id, created_at FROM jobs_job
         WHERE status = 'pending' AND gated AND kind_id = k.name
         ORDER BY priority DESC, run_at, id
         LIMIT 1)
        ORDER BY priority DESC, run_at, id
        LIMIT 1
    ) j
    WHERE %(kinds)s::text[] IS NULL OR k.name = ANY (%(kinds)s::text[])
    UNION ALL
    SELECT s.kind, s.paused, j.priority, j.run_at, j.id, j.created_at, s.n + 1
    FROM step s
    CROSS JOIN LATERAL (
        (SELECT priority, run_at, id, created_at FROM jobs_job
         WHERE status = 'pending' AND NOT gated AND kind_id = s.kind AND priority < s.priority
         ORDER BY priority DESC, run_at, id
         LIMIT 1)
        UNION ALL
        (SELECT priority, run_at, id, created_at FROM jobs_job
         WHERE status = 'pending' AND gated AND kind_id = s.kind AND priority < s.priority
         ORDER BY priority DESC, run_at, id
         LIMIT 1)
        ORDER BY priority DESC, run_at, id
        LIMIT 1
    ) j
    -- Somebody may give every job a priority of its own.
    WHERE s.n < %(steps)s
)
SELECT DISTINCT ON (kind) kind, id, GREATEST(run_at, created_at) AS due_since,
       EXTRACT(epoch FROM statement_timestamp() - GREATEST(run_at, created_at))::double precision AS age, paused,
       kind IN ({closed}) AS closed
FROM step
WHERE run_at <= statement_timestamp()
ORDER BY kind, GREATEST(run_at, created_at), id;
