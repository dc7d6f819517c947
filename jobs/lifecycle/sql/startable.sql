/* Startable: job j may be handed out, in the words of the indexes of pending jobs: one that must have been begun before
is passed over without being read. */
COALESCE(j.start_by, 'infinity'::timestamptz) > statement_timestamp()
