/* Gate wakes: whether gate g, which is not open, is to be opened after w has been added or has ended. */
CASE WHEN g.due_at = 'infinity' THEN w.ended WHEN g.due_at IS NULL THEN w.added
            -- One that is due may be put to sleep just now by a claim that has not seen what was added or has ended.
            ELSE g.due_at <= at OR g.due_at > jobs_shut(g.id, at) END
