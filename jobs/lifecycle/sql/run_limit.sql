/* Run limit: how long job j of kind k may run. */
COALESCE(j.run_within, k.run_within, k.learned_run_within, {run_within})
