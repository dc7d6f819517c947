"""The JSON API under `/api/v1/`: check requests and call `jobs.lifecycle` and `bots.roster`."""
