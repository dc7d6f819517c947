-- Meter of pending jobs: how many there are of each kind, all of them, from the index of pending jobs alone.
SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END AS kind, sum(n)::bigint AS n
FROM (SELECT kind_id, count(*) AS n FROM jobs_job WHERE status = 'pending' GROUP BY kind_id) AS by_kind
GROUP BY 1;
