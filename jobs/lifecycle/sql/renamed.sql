-- Renamed: leases of a process that goes on under another name, where it holds them still.
UPDATE jobs_job j
SET instance = %(instance)s
FROM (
    SELECT j.id FROM jobs_job j JOIN unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS w(id, attempt)
        ON j.id = w.id AND j.attempt = w.attempt AND j.claimed_by_id = %(bot)s
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
) w
WHERE j.id = w.id AND j.claimed_by_id = %(bot)s;
