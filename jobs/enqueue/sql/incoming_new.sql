-- Incoming new: how many of the new jobs of each kind would be created: those whose key no job of the kind has.
SELECT w.kind, count(*) AS n
FROM pg_temp.incoming w
WHERE NOT w.superseded
  AND NOT EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = w.kind AND j.key = w.key AND {holds_key})
GROUP BY w.kind;
