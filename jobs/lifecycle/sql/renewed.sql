/* Renewed: what a heartbeat makes of a job; l is the lease, with progress and a note where it gave them. */
heartbeat_at = l.heartbeat_at,
        deadline_at = {deadline},
        progress = COALESCE(l.progress, j.progress),
        progress_note = COALESCE(l.note, j.progress_note)
