-- Incoming ids: the new jobs in their order, each with its key, and the id it has if it was created.
SELECT w.id, w.kind, w.key, w.superseded FROM pg_temp.incoming w ORDER BY w.id;
