-- First id since: the first row of a history that is not before a moment, by halving its ids: these rise with time, and
-- have gaps. So no index of moments has to be kept.
WITH RECURSIVE halved (low, high) AS (
    SELECT COALESCE(min(id), 0), COALESCE(max(id), 0) + 1 FROM {table}
    UNION ALL
    SELECT CASE WHEN mid.at < %(moment)s AND mid.id < high THEN mid.id + 1 ELSE low END,
           CASE WHEN mid.at < %(moment)s AND mid.id < high THEN high ELSE low + (high - low) / 2 END
    FROM halved
    LEFT JOIN LATERAL (
        SELECT h.id, h.at FROM {table} h WHERE h.id >= low + (high - low) / 2 ORDER BY h.id LIMIT 1
    ) AS mid ON true
    WHERE low < high
)
SELECT low AS id FROM halved WHERE low >= high;
