/* Newer: the instance that has come in the place of that of turn w, of bot b; i is its row. A process that has never
called hello is replaced by the one of the empty identity, which is the bot's own `instance`. */
COALESCE(i.newer, CASE WHEN COALESCE(i.name, '') = '' AND w.instance <> b.instance AND w.instance <> ''
                                     THEN NULLIF(b.instance, '') END)
