"""Support for bots' turns that knows no job: combined calls, remembered claim positions, waiting claims."""
