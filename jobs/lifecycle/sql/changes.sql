/* Changes: the rows of `changed`, as `Change` in values.py takes them. */
SELECT c.id, c.attempt, c.previous_status, c.status, c.bot, b.name AS bot_name, c.kind,
       c.run_at <= statement_timestamp() AS due, c.held_for
FROM changed c LEFT JOIN bots_bot b ON b.id = c.bot
ORDER BY c.id
