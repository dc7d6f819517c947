-- Statuses: how many jobs are in each, counted up to a limit, with the planner's guess for what is beyond it.
SELECT s.status,
       (SELECT count(*) FROM (SELECT FROM jobs_job j WHERE j.status = s.status LIMIT %(most)s + 1) AS counted) AS counted,
       COALESCE((SELECT c.reltuples * f.freq
                 FROM pg_class c, pg_stats p,
                      unnest(p.most_common_vals::text::text[], p.most_common_freqs) AS f(value, freq)
                 WHERE c.oid = 'jobs_job'::regclass AND p.schemaname = c.relnamespace::regnamespace::text
                   AND p.tablename = c.relname AND p.attname = 'status' AND f.value = s.status), 0)::bigint AS guess,
       (SELECT count(*) FROM (SELECT FROM jobs_jobevent e
                              WHERE e.actor = 'operator' AND e.verb = 'release' AND e.at >= %(today)s
                              LIMIT %(most)s + 1) AS counted) AS releases
FROM unnest(%(statuses)s::text[]) WITH ORDINALITY AS s(status, place)
ORDER BY s.place;
