/* Well again: the end of a quarantine. Only later expiries count. */
quarantined_at = NULL, quarantine_reason = '', probe_at = NULL, probe_level = 0, cleared_at = statement_timestamp()
