"""What development needs and production does not: an embedded PostgreSQL, the demo, seeded data."""
