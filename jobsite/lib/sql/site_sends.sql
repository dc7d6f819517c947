-- Site sends: hold notifications back no longer. Returns since when they were held.
UPDATE jobsite_site s
SET alerts_held_since = NULL
FROM jobsite_site before
WHERE s.id = 1 AND before.id = 1 AND before.alerts_held_since IS NOT NULL AND s.alerts_held_since IS NOT NULL
RETURNING before.alerts_held_since;
