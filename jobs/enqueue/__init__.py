"""Create jobs: read and check what producers send, and insert it."""
