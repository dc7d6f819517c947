-- Site compared: what the site knows of its database, and which database this is.
SELECT COALESCE(s.epoch, 0), s.cluster, s.timeline, NULLIF(s.database, ''), here.*, pg_is_in_recovery()
FROM (
    SELECT {cluster} AS cluster, {timeline} AS timeline,
           -- The table's own number is new, too, where a dump was read into the same database.
           (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database())
           || '.' || 'jobsite_site'::regclass::oid AS database
) AS here
LEFT JOIN jobsite_site s ON s.id = 1;
