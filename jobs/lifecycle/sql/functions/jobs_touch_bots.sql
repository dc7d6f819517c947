-- Touch bots: update bots that were seen, or whose leases may have changed. The one statement that sets whether a bot
-- is busy or idle (it is busy if and only if it holds a job), when it was seen, and that it is healthy again.
--
-- The bots are locked first, by id, and only then read, to see all changes to their jobs until then. `due`: bots that
-- called, and whose `last_seen_at` must be written; `held`: how many jobs each has just been given. Both are empty
-- where the call is not a bot's; their own turns have locked them. A bot is healthy again when the job that its health
-- is about is no longer its own; not with `keep` (its lease expired), until it calls.
CREATE OR REPLACE FUNCTION jobs_touch_bots(bots bigint[], keep boolean, due boolean[], held integer[], versions text[])
RETURNS boolean LANGUAGE plpgsql VOLATILE
AS $function$
BEGIN
    IF cardinality(due) = 0 THEN
        PERFORM FROM bots_bot b WHERE b.id = ANY (bots) ORDER BY b.id FOR NO KEY UPDATE;
    END IF;
    UPDATE bots_bot b
    SET status = t.becomes,
        last_seen_at = CASE WHEN t.due IS NULL THEN b.last_seen_at ELSE statement_timestamp() END,
        version = COALESCE(t.version, b.version),
        health_status = CASE WHEN t.cured THEN 'normal' ELSE b.health_status END,
        health_reason = CASE WHEN t.cured THEN '' ELSE b.health_reason END,
        stuck_job_id = CASE WHEN t.stuck THEN b.stuck_job_id END
    FROM (
        SELECT t.id, t.due, t.version, t.becomes, t.stuck, NOT keep AND NOT t.stuck AS cured
        FROM (
            SELECT t.id, t.due, t.version,
                   -- Not EXISTS, which may be answered by a hash table of all jobs.
                   CASE WHEN t.held > 0
                             OR (SELECT true FROM jobs_job j WHERE j.claimed_by_id = t.id LIMIT 1) IS NOT NULL
                        THEN 'busy' ELSE 'idle' END AS becomes,
                   COALESCE((SELECT j.claimed_by_id = t.id FROM jobs_job j WHERE j.id = o.stuck_job_id), false) AS stuck
            FROM unnest(bots, due, held, versions) AS t(id, due, held, version)
            JOIN bots_bot o ON o.id = t.id
            OFFSET 0
        ) t
    ) t
    WHERE b.id = t.id
      AND (t.due OR b.status <> t.becomes OR (t.cured AND b.health_status <> 'normal')
           OR (b.stuck_job_id IS NOT NULL AND NOT t.stuck));
    RETURN FOUND;
END
$function$;
