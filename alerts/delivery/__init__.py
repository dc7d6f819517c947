"""Notifications: the outbox, what a message says, and how it is sent."""
