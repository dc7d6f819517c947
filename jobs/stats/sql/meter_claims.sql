-- Meter of claims: every lease that was given has ended, before the mark or since, or is held still.
WITH leases (kind, n) AS (
    SELECT kind, n FROM jobs_metered WHERE name = 'leases'
    UNION ALL
    SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END, count(*)
    FROM {finished_between}
    WHERE status = 'succeeded' AND claimed_at IS NOT NULL
    GROUP BY 1
    UNION ALL
    SELECT CASE WHEN j.kind_id = ANY (%(own)s::text[]) THEN j.kind_id ELSE %(other)s END, count(*)
    FROM jobs_jobevent e
    CROSS JOIN LATERAL (SELECT kind_id FROM jobs_job WHERE id = e.job_id LIMIT 1) j
    WHERE e.verb IN ('release', 'expire', 'fail', 'cancel') AND e.at >= %(since)s AND e.at < %(until)s
      AND e.from_status IN ('claimed', 'processing')
    GROUP BY 1
    UNION ALL
    SELECT CASE WHEN kind_id = ANY (%(own)s::text[]) THEN kind_id ELSE %(other)s END, count(*)
    FROM jobs_job
    WHERE claimed_by_id IS NOT NULL
    GROUP BY 1
)
INSERT INTO jobs_metered AS m (name, kind, n)
SELECT 'claims', kind, sum(n) FROM leases GROUP BY kind
ON CONFLICT (name, kind, source) DO UPDATE
SET n = GREATEST(m.n, EXCLUDED.n), at = EXCLUDED.at;
