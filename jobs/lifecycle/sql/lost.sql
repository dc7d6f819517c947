-- Lost: those of these leases that the bot no longer holds, and whether an operator cancelled the job.
SELECT w.id, w.attempt, COALESCE((
           SELECT e.verb = 'cancel' FROM jobs_jobevent e
           WHERE e.job_id = w.id AND e.attempt = w.attempt AND e.bot_id = %(bot)s
             AND e.verb IN ('release', 'defer', 'expire', 'fail', 'cancel')
           ORDER BY e.id DESC LIMIT 1
       ), false) AS cancelled
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) WITH ORDINALITY AS w(id, attempt, place)
LEFT JOIN jobs_job j ON j.id = w.id
WHERE j.claimed_by_id IS DISTINCT FROM %(bot)s OR j.attempt <> w.attempt
ORDER BY w.place;
