-- Touch bots: update bots whose leases were changed by others.
SELECT jobs_touch_bots(%(bots)s::bigint[], %(keep)s, '{}', '{}', '{}') AS changed;
