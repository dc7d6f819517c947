-- Quarantine: give these bots no new jobs, and record why. The caller has locked the bots' rows.
UPDATE bots_bot b
SET quarantined_at = statement_timestamp(),
    quarantine_reason = w.reason
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, reason text)
WHERE b.id = w.id AND b.quarantined_at IS NULL;
