-- Gated groups: the groups of kinds of those of these jobs that are gated, and whether any of them is pending.
SELECT j.kind_id AS kind, j.group_name AS "group", bool_or(j.status = 'pending') AS added
FROM jobs_job j
WHERE j.id = ANY (%(ids)s::bigint[]) AND j.gated
GROUP BY 1, 2
ORDER BY 1, 2;
