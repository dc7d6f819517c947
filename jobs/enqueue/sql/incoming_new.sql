-- Incoming new: how many of the new jobs of each kind would be created: those whose key no job of the kind has.
SELECT w.kind, count(*) AS n
FROM (SELECT DISTINCT kind, key, CASE WHEN key IS NULL THEN id END AS id FROM pg_temp.incoming) AS w
WHERE NOT EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = w.kind AND j.key = w.key)
GROUP BY w.kind;
