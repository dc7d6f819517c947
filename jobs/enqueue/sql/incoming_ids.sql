-- Incoming ids: for each new job, in order, the id of its job and whether that was created.
SELECT COALESCE(w.existing, w.id) AS id, COALESCE(w.existing = w.id, true) AS created
FROM (
    SELECT i.id, (SELECT j.id FROM jobs_job j WHERE j.kind_id = i.kind AND j.key = i.key) AS existing
    FROM pg_temp.incoming i
) AS w
ORDER BY w.id;
