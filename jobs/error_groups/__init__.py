"""Error groups: failures of one kind whose errors are alike, counted, and resolved or ignored by operators."""
