-- Missed gates: groups of kinds with pending jobs whose gates are missing, or not open though they could be. Who was to
-- open them was stopped before it could.
WITH RECURSIVE pair AS (
    (SELECT j.kind_id, j.group_name FROM jobs_job j WHERE j.status = 'pending' AND j.gated
     ORDER BY j.kind_id, j.group_name LIMIT 1)
    UNION ALL
    SELECT n.kind_id, n.group_name
    FROM pair p CROSS JOIN LATERAL (
        SELECT j.kind_id, j.group_name FROM jobs_job j
        WHERE j.status = 'pending' AND j.gated AND (j.kind_id, j.group_name) > (p.kind_id, p.group_name)
        ORDER BY j.kind_id, j.group_name LIMIT 1
    ) n
)
SELECT p.kind_id AS kind, p.group_name AS "group"
FROM pair p JOIN jobs_jobkind k ON k.name = p.kind_id
CROSS JOIN LATERAL (
    VALUES (p.group_name, CASE WHEN p.group_name = '' THEN k.max_held ELSE k.max_held_per_group END), ('', k.max_held)
) AS w(grp, most)
LEFT JOIN LATERAL (
    -- Each by the index, where there may be a million gates and a few groups with jobs.
    SELECT * FROM jobs_gate g WHERE g.kind_id = p.kind_id AND g.group_name = w.grp LIMIT 1
) g ON true
WHERE CASE WHEN g.id IS NULL THEN true
           WHEN g.open OR (p.group_name <> '' AND w.grp = '' AND g.due_at IS NULL AND NOT EXISTS (
               SELECT FROM jobs_gate o WHERE o.kind_id = p.kind_id AND o.group_name = p.group_name AND o.open
           )) THEN false
           WHEN g.due_at IS NULL THEN true
           WHEN g.due_at < 'infinity' THEN false
           WHEN w.grp = '' THEN COALESCE(most > (
               SELECT count(*) FROM jobs_job j
               WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = p.kind_id), true)
           ELSE COALESCE(most > (
               SELECT count(*) FROM jobs_job j
               WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = p.kind_id AND j.group_name = w.grp), true)
      END
GROUP BY 1, 2;
