"""Statistics of jobs: what ended when, how long it ran, and what is learned from it."""
