-- Expired: what expired within `window` of these kinds (NULL: of all), but for probes; the newest first, at most `most`.
-- `elsewhere`: the job expired under another instance, too. `against`: the expiry counts against its own: the job did
-- not, and then ended under another. Another is one of another bot or identity: not the same process started again.
-- `fresh`: its quarantine was not cleared since. `free`: it is current and in no quarantine.
WITH expired AS MATERIALIZED (
    SELECT e.id, e.job_id, e.at, e.bot_id, i.id AS instance, i.name, i.identity, i.last_seen_at, j.kind_id,
           i.cleared_at IS NULL OR i.cleared_at < e.at AS fresh, i.ended_at IS NULL AND i.quarantined_at IS NULL AS free,
           j.status = 'succeeded' AND (j.finished_by_id <> e.bot_id OR i.identity <> (
               SELECT o.identity FROM bots_instance o
               WHERE o.bot_id = j.finished_by_id AND o.name = ANY (ARRAY[j.instance, '']) ORDER BY o.name DESC LIMIT 1
           )) AS succeeded
    FROM jobs_jobevent e
    JOIN jobs_job j ON j.id = e.job_id
    CROSS JOIN LATERAL (
        SELECT i.* FROM bots_instance i
        WHERE i.bot_id = e.bot_id AND i.name = ANY (ARRAY[COALESCE(e.detail->>'instance', ''), ''])
        ORDER BY i.name DESC LIMIT 1
    ) i
    WHERE e.verb = 'expire' AND e.at >= statement_timestamp() - %(window)s AND e.detail->'probe' IS NULL
      AND (%(kinds)s::text[] IS NULL OR j.kind_id = ANY (%(kinds)s::text[]))
    ORDER BY e.at DESC, e.id DESC
    LIMIT %(most)s
), compared AS (
    SELECT x.*, min(x.bot_id || ' ' || x.identity) OVER of_job <> max(x.bot_id || ' ' || x.identity) OVER of_job AS elsewhere
    FROM expired x
    WINDOW of_job AS (PARTITION BY x.job_id)
)
SELECT c.job_id AS job, c.kind_id AS kind, c.bot_id AS bot, b.name AS holder_name, c.instance, c.name, c.identity, c.at,
       c.last_seen_at, c.fresh, c.free, c.elsewhere,
       NOT c.elsewhere AND (COALESCE(c.succeeded, false) OR (
           SELECT true FROM jobs_jobevent f
           WHERE f.job_id = c.job_id AND f.id > c.id AND f.verb = 'fail' AND f.actor = 'bot'
             AND (f.bot_id <> c.bot_id OR c.identity <> (
                 SELECT o.identity FROM bots_instance o
                 WHERE o.bot_id = f.bot_id AND o.name = ANY (ARRAY[COALESCE(f.detail->>'instance', ''), ''])
                 ORDER BY o.name DESC LIMIT 1
             ))
           LIMIT 1
       ) IS NOT NULL) AS against
FROM compared c JOIN bots_bot b ON b.id = c.bot_id
ORDER BY c.at DESC, c.id DESC;
