-- Shut until: until when a gate is shut by its rate or a throttle; NULL: it is not.
SELECT CASE WHEN s.until > s.at THEN s.until END AS until
FROM (SELECT t.at, jobs_shut(%(gate)s, t.at) AS until FROM clock_timestamp() AS t(at)) s;
