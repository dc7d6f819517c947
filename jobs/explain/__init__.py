"""Why a job is where it is, what happened to it, and its kind's policy in words."""
