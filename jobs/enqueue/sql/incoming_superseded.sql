-- Incoming superseded: of several new jobs of a kind with the same key the last one counts.
UPDATE pg_temp.incoming w
SET superseded = true
FROM (
    SELECT kind, key, max(id) AS last FROM pg_temp.incoming WHERE key IS NOT NULL
    GROUP BY kind, key
    HAVING count(*) > 1
) AS twice
WHERE w.kind = twice.kind AND w.key = twice.key AND w.id < twice.last;
