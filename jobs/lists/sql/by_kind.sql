-- By kind: the first jobs at rest of several kinds and statuses, by id.
-- `job_at_rest` has the jobs of each status and kind in this order, and PostgreSQL cannot merge a thousand ranges in one
-- plan of a fixed size. So it reads the first job of each range, and from there a stretch of ids at a time, each twice
-- as long as the one before, in those ranges that have begun. All jobs of a stretch are before those of the next. The
-- outer query has no ORDER BY: with one, PostgreSQL would read all stretches, and not only up to the limit.
WITH RECURSIVE head AS MATERIALIZED (
    SELECT wanted.status, kind.name, one.id
    FROM unnest(%(statuses)s::text[]) AS wanted(status)
    CROSS JOIN {kinds}
    CROSS JOIN LATERAL (
        SELECT j.id FROM jobs_job j
        WHERE {at_rest} AND j.status = wanted.status AND j.kind_id = kind.name
          AND j.id > %(after)s AND j.id < %(before)s
        ORDER BY j.id {order}
        LIMIT 1
    ) AS one
), ends AS MATERIALIZED (
    SELECT min(h.id) AS lowest, max(h.id) AS highest,
           GREATEST((SELECT min(id) FROM jobs_job), %(after)s + 1) AS first,
           LEAST((SELECT max(id) FROM jobs_job), %(before)s - 1) AS last
    FROM head h
), stretch (low, high, width) AS (
    SELECT CASE WHEN %(newest)s THEN highest - LEAST(highest - first, %(width)s - 1) ELSE lowest END,
           CASE WHEN %(newest)s THEN highest ELSE lowest + LEAST(last - lowest, %(width)s - 1) END, %(width)s::bigint
    FROM ends
    WHERE highest IS NOT NULL
    UNION ALL
    SELECT CASE WHEN %(newest)s THEN low - LEAST(low - first, 2 * width) ELSE high + 1 END,
           CASE WHEN %(newest)s THEN low - 1 ELSE high + LEAST(last - high, 2 * width) END,
           -- Not more than a bigint has.
           LEAST(2 * width, 1::bigint << 60)
    FROM stretch CROSS JOIN ends
    WHERE CASE WHEN %(newest)s THEN low > first ELSE high < last END
)
SELECT found.id, found.kind_id
FROM stretch
CROSS JOIN LATERAL (
    SELECT one.id, one.kind_id
    FROM head
    CROSS JOIN LATERAL ({jobs}) AS one
    WHERE CASE WHEN %(newest)s THEN head.id >= stretch.low ELSE head.id <= stretch.high END
    ORDER BY one.id {order}
    LIMIT %(most)s
) AS found
LIMIT %(most)s
