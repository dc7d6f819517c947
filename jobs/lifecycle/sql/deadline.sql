/* When the sweep must look at lease l of kind k: the first limit ahead of it (bots/health.py has the grades). */
            COALESCE(
                CASE WHEN l.status = 'claimed' THEN l.claimed_at + k.start_within ELSE LEAST(
                    l.heartbeat_at + k.heartbeat_within,
                    CASE WHEN l.started_at + COALESCE(k.run_within, k.learned_run_within, {run_within}) > statement_timestamp()
                         THEN l.started_at + COALESCE(k.run_within, k.learned_run_within, {run_within}) END,
                    CASE WHEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, {run_within}) > statement_timestamp()
                         THEN l.started_at + 3 * COALESCE(k.run_within, k.learned_run_within, {run_within}) END
                ) END,
                statement_timestamp()
            )
