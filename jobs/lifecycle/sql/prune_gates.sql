-- Prune gates: delete some gates of groups that sleep until a job comes, and remember no starts and no throttle.
--
-- Under the gates of their kinds: a job that comes in between has its gate made again.
WITH idle AS MATERIALIZED (
    SELECT g.id, g.kind_id FROM jobs_gate g JOIN jobs_jobkind k ON k.name = g.kind_id
    WHERE NOT g.open AND g.due_at IS NULL AND g.group_name <> ''
      AND COALESCE(g.shut_until < statement_timestamp(), true)
      AND COALESCE(g.tokens_at < statement_timestamp() - 2 * k.rate_period, true)
    LIMIT %(most)s
), locked AS MATERIALIZED (
    SELECT g.id FROM jobs_gate g
    WHERE g.group_name = '' AND g.kind_id IN (SELECT idle.kind_id FROM idle)
    ORDER BY g.kind_id
    FOR NO KEY UPDATE
)
DELETE FROM jobs_gate g
USING idle
WHERE g.id = idle.id AND NOT g.open AND g.due_at IS NULL AND (SELECT count(*) FROM locked) > 0
RETURNING g.id;
