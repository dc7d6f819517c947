-- Kinds: lock those of these names that exist against deletion, and read what their new jobs need.
SELECT name, max_attempts, max_pending, limited FROM jobs_jobkind WHERE name = ANY (%(names)s::text[]) ORDER BY name FOR KEY SHARE;
