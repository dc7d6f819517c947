"""The JSON API under `/api/v1/`: doors that check what comes in and call `jobs.lifecycle` and `bots.roster`."""
