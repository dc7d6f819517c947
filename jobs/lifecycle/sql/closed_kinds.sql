/* Closed kinds: those of which nothing is claimed in the shared lane: paused, shut by a throttle, or with a limit, so that
their jobs go in the other lane. */
SELECT k.name FROM jobs_jobkind k WHERE k.paused OR k.limited
                          UNION ALL
                          SELECT g.kind_id FROM jobs_gate g
                          WHERE g.group_name = '' AND g.shut_until IS NOT NULL AND g.shut_until > statement_timestamp()
