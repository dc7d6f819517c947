-- Site known: fill in what was not known of the database.
INSERT INTO jobsite_site (id, cluster, timeline, database)
VALUES (1, %(cluster)s::bigint, %(timeline)s::bigint, %(database)s)
ON CONFLICT (id) DO UPDATE
SET cluster = COALESCE(jobsite_site.cluster, EXCLUDED.cluster),
    timeline = COALESCE(jobsite_site.timeline, EXCLUDED.timeline),
    database = COALESCE(NULLIF(jobsite_site.database, ''), EXCLUDED.database);
