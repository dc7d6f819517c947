/* Own times: the limits and the backoff of new job w, in place of its kind's. */
make_interval(secs => w.run_within), make_interval(secs => w.heartbeat_within), make_interval(secs => w.backoff)
