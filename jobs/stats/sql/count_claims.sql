-- Count claims: every lease that was given has ended, before what is added up or since, or is held still.
WITH leases (kind, n) AS (
    SELECT kind, leases_ended FROM jobs_jobrollup WHERE span = 'total'
    UNION ALL
    SELECT CASE WHEN kind_id = ANY (%(labels)s::text[]) THEN kind_id ELSE %(other)s END, count(*)
    FROM {finished_between}
    WHERE status = 'succeeded' AND claimed_at IS NOT NULL
    GROUP BY 1
    UNION ALL
    SELECT CASE WHEN j.kind_id = ANY (%(labels)s::text[]) THEN j.kind_id ELSE %(other)s END, count(*)
    FROM jobs_jobevent e
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('release', 'defer', 'expire', 'fail', 'cancel') AND e.at >= %(since)s AND e.at < %(until)s
      AND e.from_status IN ('claimed', 'processing')
    GROUP BY 1
    UNION ALL
    SELECT CASE WHEN kind_id = ANY (%(labels)s::text[]) THEN kind_id ELSE %(other)s END, count(*)
    FROM jobs_job
    WHERE claimed_by_id IS NOT NULL
    GROUP BY 1
)
INSERT INTO jobs_jobrollup AS r (span, start, kind, leases_given)
SELECT 'total', 'epoch', kind, sum(n) FROM leases GROUP BY kind
ON CONFLICT (span, start, kind, bot) DO UPDATE
SET leases_given = GREATEST(r.leases_given, EXCLUDED.leases_given);
