-- Clear quarantine: end that of these bots' instances, or of the one with this name. Those that have ended, too: what
-- comes in their place would take it over. The caller has locked the bots' rows.
UPDATE bots_instance i
SET {well_again}
WHERE i.bot_id = ANY (%(bots)s::bigint[]) AND (%(instance)s::text IS NULL OR i.name = %(instance)s)
  AND i.quarantined_at IS NOT NULL
RETURNING i.bot_id AS bot, i.name;
