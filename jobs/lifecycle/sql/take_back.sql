-- Take back: of the jobs of one act, those that it cancelled while nobody held them are pending again, and pending ones
-- whose priority it changed have the one from before. Only jobs to which nothing of the kind was done since, and that
-- take no key which another job has.
WITH wanted AS (
    SELECT j.id, j.status, j.attempt, j.kind_id, j.key, j.priority, a.verb AS of,
           CASE a.verb WHEN 'prioritise' THEN (a.detail->>'from')::integer ELSE j.priority END AS new_priority,
           j.status = 'cancelled' AND {takes_key} AS takes_key
    FROM jobs_jobevent a
    JOIN jobs_job j ON j.id = a.job_id
    WHERE a.job_id = ANY (%(ids)s::bigint[]) AND a.audit_id = %(entry)s
      AND j.status = ANY (%(from)s::text[])
      AND CASE a.verb WHEN 'cancel' THEN a.from_status = 'pending' AND j.status = 'cancelled'
                      WHEN 'prioritise' THEN j.status = 'pending' AND j.priority = (a.detail->>'to')::integer END
      AND NOT EXISTS (
          SELECT FROM jobs_jobevent later
          WHERE later.job_id = j.id AND later.id > a.id AND (a.verb = 'cancel' OR later.verb = a.verb)
      )
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
), target AS (
    SELECT w.*
    FROM wanted w
    WHERE NOT w.takes_key
       -- As in `retry.sql`.
       OR (SELECT true FROM jobs_job j
           WHERE j.kind_id = w.kind_id AND j.key = w.key AND {holds_key}
           LIMIT 1) IS NULL
), changed AS (
    UPDATE jobs_job j
    SET status = 'pending', finished_at = NULL, priority = t.new_priority, gated = k.limited OR j.group_name <> ''
    FROM target t, jobs_jobkind k
    WHERE j.id = t.id AND j.status = t.status AND j.attempt = t.attempt AND k.name = j.kind_id
    RETURNING j.id, j.attempt, t.status AS previous_status, j.status, NULL::bigint AS bot, j.kind_id AS kind, j.run_at,
              NULL::double precision AS held_for, t.of, t.priority AS before, j.priority AS after
), happened AS (
    SELECT c.*, 'take_back' AS verb, %(actor)s AS actor, %(by)s AS by, %(reason)s AS reason,
           jsonb_build_object('of', c.of, 'entry', %(entry)s::bigint) || CASE c.of
               WHEN 'prioritise' THEN jsonb_build_object('from', c.before, 'to', c.after)
               ELSE '{}' END AS detail
    FROM changed c
), event AS (
    {event}
)
{changes};
