-- Unsettled: kinds whose pending jobs are not all in the lane in which they belong, since limits were set or removed.
SELECT k.name AS kind, k.limited, k.limited_no
FROM jobs_jobkind k LEFT JOIN jobs_gate g ON g.kind_id = k.name AND g.group_name = ''
WHERE (%(kind)s::text IS NULL OR k.name = %(kind)s)
  AND CASE WHEN k.limited
           THEN g.limited_no IS DISTINCT FROM k.limited_no
                OR EXISTS (SELECT FROM jobs_job j WHERE j.status = 'pending' AND NOT j.gated AND j.kind_id = k.name)
           ELSE EXISTS (SELECT FROM jobs_job j
                        WHERE j.status = 'pending' AND j.gated AND j.kind_id = k.name AND j.group_name = '') END
ORDER BY k.name;
