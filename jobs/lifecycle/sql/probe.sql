/* Probe: how many jobs instance i of bot b may have in quarantine: one when its probe is due and it holds no other
probe; NULL where it is in none. */
CASE WHEN i.quarantined_at IS NOT NULL THEN (
                        i.probe_at <= statement_timestamp()
                        AND (SELECT true FROM jobs_job j
                             WHERE j.claimed_by_id = b.id AND j.instance = ANY (ARRAY[i.name, w.instance])
                               AND j.claimed_at > i.quarantined_at
                             LIMIT 1) IS NULL
                    )::integer END
