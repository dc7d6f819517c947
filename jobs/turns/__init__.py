"""What carries bots' turns, and knows no job: calls combined into one, remembered claim positions, waiting claims."""
