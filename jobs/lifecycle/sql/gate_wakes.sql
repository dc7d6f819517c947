/* Gate wakes: whether gate g, which is not open, is to be opened after w has been added or has ended. */
CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added ELSE g.due_at > jobs_shut(g.id, at) END
