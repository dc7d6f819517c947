-- Kinds: those of these that are there, which stay until this transaction ends, and how often their jobs are tried.
SELECT name, max_attempts FROM jobs_jobkind WHERE name = ANY (%(names)s::text[]) ORDER BY name FOR KEY SHARE;
