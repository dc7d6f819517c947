-- Refused: record that new jobs of a caller were refused. After a pause the record begins again.
INSERT INTO jobs_refusal AS r (kind, by, key, calls)
VALUES (%(kind)s, %(by)s, %(key)s, %(calls)s)
ON CONFLICT (kind, by, key) DO UPDATE
SET calls = EXCLUDED.calls + CASE WHEN r.last_at < statement_timestamp() - %(pause)s THEN 0 ELSE r.calls END,
    since = CASE WHEN r.last_at < statement_timestamp() - %(pause)s THEN statement_timestamp() ELSE r.since END,
    last_at = statement_timestamp();
