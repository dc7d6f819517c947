"""The commands `jobsitectl`, for people and scripts, and `jobsite-bot`, which runs a bot."""
