-- Incoming ids: for each new job, in order, the id of the job it is now, and whether that is new.
SELECT COALESCE(w.there, w.id) AS id, COALESCE(w.there = w.id, true) AS created
FROM (
    SELECT i.id, (SELECT j.id FROM jobs_job j WHERE j.kind_id = i.kind AND j.key = i.key) AS there
    FROM pg_temp.incoming i
) AS w
ORDER BY w.id;
