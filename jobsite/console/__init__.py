"""The admin as one site: who gets in, what guards every page, and what it answers when something goes wrong."""
