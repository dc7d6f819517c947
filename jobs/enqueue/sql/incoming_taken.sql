-- Incoming taken: which new jobs on these pages were not created, since another job has their key.
SELECT w.id
FROM pg_temp.incoming w
WHERE w.ctid >= format('(%%s,0)', %(first)s)::tid AND w.ctid < format('(%%s,0)', %(end)s)::tid
  AND w.key IS NOT NULL AND NOT w.superseded
  AND NOT EXISTS (SELECT FROM jobs_job j WHERE j.id = w.id)
ORDER BY w.id;
