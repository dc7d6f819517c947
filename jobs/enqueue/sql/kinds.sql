-- Kinds: lock those of these names that exist against deletion, and read their `max_attempts`.
SELECT name, max_attempts FROM jobs_jobkind WHERE name = ANY (%(names)s::text[]) ORDER BY name FOR KEY SHARE;
