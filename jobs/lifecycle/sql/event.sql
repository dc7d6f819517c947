/* Event: one line of history for each row of `happened`, in the statement that makes the change. In a statement with
   the operator's entry in the audit log (NULL: nobody's), which no function of the database has. */
INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, reason, at,
                           detail{audit_column})
    SELECT h.id, h.attempt, h.verb, h.previous_status, h.status, h.bot, h.actor, h.by, h.reason, statement_timestamp(),
           h.detail{audit_value}
    FROM happened h
    ORDER BY h.id
