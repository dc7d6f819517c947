"""Lists of jobs and bots at a bounded cost: the job list, its search, Home, and who can take a kind."""
