/* Lease for: for how many seconds job j has its lease, unless it is renewed. */
round(EXTRACT(epoch FROM j.deadline_at - statement_timestamp()), 3)
