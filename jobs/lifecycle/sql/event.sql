/* Event: one line of history for each row of `happened`, in the statement that makes the change. */
INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at, detail)
    SELECT h.id, h.attempt, h.verb, h.previous_status, h.status, h.bot, h.actor, h.by, h.reason, statement_timestamp(),
           h.detail
    FROM happened h
    ORDER BY h.id
