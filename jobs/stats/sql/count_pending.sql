-- Count pending: how many jobs of each kind are pending, all of them, from the indexes of pending jobs alone.
SELECT CASE WHEN kind_id = ANY (%(labels)s::text[]) THEN kind_id ELSE %(other)s END AS kind, sum(n)::bigint AS n
FROM (
    SELECT kind_id, count(*) AS n FROM jobs_job WHERE status = 'pending' AND NOT gated GROUP BY kind_id
    UNION ALL
    SELECT kind_id, count(*) AS n FROM jobs_job WHERE status = 'pending' AND gated GROUP BY kind_id
) AS by_kind
GROUP BY 1;
