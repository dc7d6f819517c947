-- Bytes edge: back to which of these jobs a search goes that reads at most so many bytes of what they carry, as it is
-- stored; and at least the newest of them.
SELECT min(id) AS id
FROM (
    SELECT id, row_number() OVER newest_first AS n,
           sum(pg_column_size(payload) + pg_column_size(error)) OVER newest_first AS bytes
    FROM jobs_job
    WHERE id = ANY (%(ids)s::bigint[])
    WINDOW newest_first AS (ORDER BY id DESC)
) AS sized
WHERE bytes <= %(most)s OR n = 1;
