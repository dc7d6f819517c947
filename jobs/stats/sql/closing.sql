-- Closing: until when all minutes are closed, and when the oldest transaction that is open began.
-- A report carries the moment of its statement, which is never before its transaction began: what ended before the
-- oldest open transaction began is there to be read. No transaction is waited for without end. One of
-- another role has no start here, unless ours may read all statistics.
SELECT now, until, oldest
FROM (SELECT COALESCE(%(now)s::timestamptz, clock_timestamp()) AS now) AS clock
CROSS JOIN LATERAL (
    SELECT min(xact_start) AS oldest
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend') AS open
CROSS JOIN LATERAL (
    SELECT date_trunc('minute', GREATEST(LEAST(now - %(settled)s::interval, oldest), now - %(patience)s::interval),
                      'UTC') AS until) AS closed;
