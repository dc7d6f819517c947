-- Statuses: how many jobs are in each, counted up to a limit, with the planner's guess for what is beyond it.
-- Each status stands here by its name and not as a parameter, so that PostgreSQL knows how rare it is, and in the order
-- of the index to count in.
WITH counted (status, counted) AS (
    SELECT 'pending', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'pending'
                                        ORDER BY kind_id, id LIMIT %(most)s + 1) AS some_of_them)
    UNION ALL
    SELECT 'claimed', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'claimed'
                                        AND claimed_by_id IS NOT NULL ORDER BY claimed_by_id LIMIT %(most)s + 1) AS some_of_them)
    UNION ALL
    SELECT 'processing', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'processing'
                                        AND claimed_by_id IS NOT NULL ORDER BY claimed_by_id LIMIT %(most)s + 1) AS some_of_them)
    UNION ALL
    SELECT 'succeeded', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'succeeded'
                                        ORDER BY kind_id, id LIMIT %(most)s + 1) AS some_of_them)
    UNION ALL
    SELECT 'failed', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'failed'
                                        ORDER BY kind_id, id LIMIT %(most)s + 1) AS some_of_them)
    UNION ALL
    SELECT 'cancelled', (SELECT count(*) FROM (SELECT FROM jobs_job WHERE status = 'cancelled'
                                        ORDER BY kind_id, id LIMIT %(most)s + 1) AS some_of_them)
), guessed AS (
    SELECT f.status, c.reltuples * f.share AS guess
    FROM pg_class c
    JOIN pg_stats p ON p.schemaname = c.relnamespace::regnamespace::text AND p.tablename = c.relname
    CROSS JOIN unnest(p.most_common_vals::text::text[], p.most_common_freqs) AS f(status, share)
    WHERE c.oid = 'jobs_job'::regclass AND p.attname = 'status'
)
SELECT counted.status, counted.counted, COALESCE(guessed.guess, 0)::bigint AS guess,
       (SELECT count(*) FROM (SELECT FROM jobs_jobevent e
                              WHERE e.actor = 'operator' AND e.verb = 'release'
                                AND e.at >= date_trunc('day', statement_timestamp(), %(zone)s)
                              ORDER BY e.at DESC
                              LIMIT %(most)s + 1) AS some_of_them) AS releases
FROM counted LEFT JOIN guessed USING (status);
