"""How jobs come into being: what producers send, checked and inserted."""
