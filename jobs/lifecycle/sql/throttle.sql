-- Throttle: shut a gate until so many seconds from now, and not earlier than it is shut already. The caller has locked the
-- gate of the kind.
INSERT INTO jobs_gate AS g (kind_id, group_name, open, due_at, shut_until, shut_by, shut_reason)
SELECT k.name, %(group)s, false, at, at, %(by)s, %(reason)s
FROM jobs_jobkind k CROSS JOIN LATERAL (SELECT clock_timestamp() + make_interval(secs => %(seconds)s) AS at) t
WHERE k.name = %(kind)s
ON CONFLICT (kind_id, group_name) DO UPDATE
SET open = false,
    due_at = GREATEST(g.shut_until, EXCLUDED.shut_until),
    shut_until = GREATEST(g.shut_until, EXCLUDED.shut_until),
    shut_by = CASE WHEN g.shut_until > EXCLUDED.shut_until THEN g.shut_by ELSE EXCLUDED.shut_by END,
    shut_reason = CASE WHEN g.shut_until > EXCLUDED.shut_until THEN g.shut_reason ELSE EXCLUDED.shut_reason END
RETURNING g.shut_until;
