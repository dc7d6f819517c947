/* Again: the next status of job j after a failed attempt; w.retry says whether it may be tried again. Released attempts
do not count; every other one does. */
CASE WHEN w.retry AND {attempt_number} - j.uncounted < j.max_attempts THEN 'pending' ELSE 'failed' END
