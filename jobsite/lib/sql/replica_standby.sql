-- Whether the standby has replayed all that the primary had written, and when the last it has was committed. A server
-- that is no standby, as when a proxy leads to the primary for want of one, has everything.
SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %(until)s::pg_lsn AS complete,
       pg_last_xact_replay_timestamp() AS at
