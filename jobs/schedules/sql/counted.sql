-- Counted: schedules by state, how many seconds the first has been due, and how many missed their last moment.
SELECT count(*) FILTER (WHERE NOT s.paused AND s.next_at IS NOT NULL) AS active,
       count(*) FILTER (WHERE s.paused) AS paused,
       count(*) FILTER (WHERE NOT s.paused AND s.next_at IS NULL) AS ended,
       GREATEST(0, EXTRACT(EPOCH FROM clock_timestamp() - min(LEAST(s.next_at, s.paused_until)))) AS late,
       count(*) FILTER (WHERE 'missed' = (
           SELECT o.fate FROM jobs_scheduleoccurrence o
           WHERE o.schedule_id = s.id AND o.fate <> 'skipped'
           ORDER BY o.due_at DESC LIMIT 1
       )) AS missed
FROM jobs_schedule s;
