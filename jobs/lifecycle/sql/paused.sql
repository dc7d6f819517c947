/* Paused: whether bot b is paused at this moment. */
(b.paused AND COALESCE(b.paused_until > statement_timestamp(), true))
