-- How far the primary has written its log, and what time it is there.
SELECT pg_current_wal_lsn()::text AS written, clock_timestamp() AS at
