"""Every connection to PostgreSQL: how long it may be silent, who may have one, and what is done once with each.

A database backend for Django (`ENGINE`), whose `DatabaseWrapper` is in `base`.
"""
