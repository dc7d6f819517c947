/* Lease for: for how many seconds job j has its lease l, from when that began or was renewed, unless it is again. */
round(EXTRACT(epoch FROM j.deadline_at - l.heartbeat_at), 3)
