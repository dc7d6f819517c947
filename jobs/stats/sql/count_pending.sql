-- Count pending: how many jobs of each kind are pending, all of them, from the index of pending jobs alone.
SELECT CASE WHEN kind_id = ANY (%(labels)s::text[]) THEN kind_id ELSE %(other)s END AS kind, sum(n)::bigint AS n
FROM (SELECT kind_id, count(*) AS n FROM jobs_job WHERE status = 'pending' GROUP BY kind_id) AS by_kind
GROUP BY 1;
