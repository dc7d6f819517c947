/* Lease detail: what an event keeps of the lease that it ended; c is the job before. */
jsonb_strip_nulls(jsonb_build_object(
               'error', c.error, 'claimed_at', c.claimed_at, 'started_at', c.started_at,
               'heartbeat_at', c.heartbeat_at, 'progress', c.progress, 'instance', NULLIF(c.instance, '')))
