-- Touch bots: what they hold has changed, by somebody else's act.
SELECT jobs_touch_bots(%(bots)s::bigint[], %(keep)s, '{}', '{}', '{}') AS changed;
