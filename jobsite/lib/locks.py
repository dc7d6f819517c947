"""The keys of PostgreSQL's advisory locks, each once, so that no two parts use the same."""

#: Adding closed minutes to the statistics: two sweeps at once must not add up the same minute.
ROLLUP = 0x7A11
#: Reconciling incidents with what the detectors find: one at a time.
RECONCILE = 0xA1E7
