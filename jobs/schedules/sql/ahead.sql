-- Ahead: seconds until a schedule is due, below zero if one is, empty without any; and whether an occurrence waits.
SELECT EXTRACT(EPOCH FROM min(LEAST(next_at, paused_until)) - clock_timestamp()) AS ahead,
       EXISTS (SELECT FROM jobs_scheduleoccurrence WHERE fate = 'waiting') AS waits
FROM jobs_schedule;
