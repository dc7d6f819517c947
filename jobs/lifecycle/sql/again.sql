/* Again: where a job goes whose attempt failed, when w says whether it may be tried again. An attempt that was released
does not count against it; every other one does. */
CASE WHEN w.retry AND j.attempt - j.uncounted < j.max_attempts THEN 'pending' ELSE 'failed' END
