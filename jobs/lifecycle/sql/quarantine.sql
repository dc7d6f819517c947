-- Quarantine: give these instances no new jobs but probes, and record why. The caller has locked their bots' rows.
UPDATE bots_instance i
SET quarantined_at = statement_timestamp(),
    quarantine_reason = w.reason,
    probe_at = statement_timestamp() + {first_probe},
    probe_level = 0
FROM jsonb_to_recordset(%(rows)s::jsonb) AS w(id bigint, reason text)
WHERE i.id = w.id AND i.quarantined_at IS NULL AND i.ended_at IS NULL;
