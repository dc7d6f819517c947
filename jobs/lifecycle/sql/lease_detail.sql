/* Lease detail: what the event that ended a lease keeps of it; c is the job as it was. */
jsonb_strip_nulls(jsonb_build_object(
               'error', c.error, 'claimed_at', c.claimed_at, 'started_at', c.started_at,
               'heartbeat_at', c.heartbeat_at, 'progress', c.progress))
