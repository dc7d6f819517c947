/* Lease: job j is held under the lease that report w of a bot names, and by that bot.
The CASE makes each condition on a job's lease one on the pair: so the planner cannot think that reading all jobs, or
all that are held, is a short way to those few, and finds each by its key. */
j.id = w.id AND j.attempt = w.attempt
          AND CASE WHEN w.id > 0 THEN j.status IN ('claimed', 'processing') AND j.claimed_by_id = w.bot END
