-- Holders: the jobs that have these keys of these kinds now, and how long they keep them.
SELECT w.ord - 1 AS position, j.id, j.unique_mode
FROM unnest(%(kinds)s::text[], %(keys)s::text[]) WITH ORDINALITY AS w(kind, key, ord)
CROSS JOIN LATERAL (
    SELECT j.id, j.unique_mode FROM jobs_job j
    WHERE j.kind_id = w.kind AND j.key = w.key AND {holds_key}
    LIMIT 1
) AS j;
