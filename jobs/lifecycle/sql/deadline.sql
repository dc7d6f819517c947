/* When the sweep must look at lease l of job j of kind k: the first limit ahead of it (bots/health.py has the grades). */
            COALESCE(
                CASE WHEN l.status = 'claimed' THEN l.claimed_at + k.start_within ELSE LEAST(
                    l.heartbeat_at + COALESCE(j.heartbeat_within, k.heartbeat_within),
                    CASE WHEN l.started_at + {run_limit} > statement_timestamp() THEN l.started_at + {run_limit} END,
                    CASE WHEN l.started_at + 3 * {run_limit} > statement_timestamp()
                         THEN l.started_at + 3 * {run_limit} END
                ) END,
                statement_timestamp()
            )
