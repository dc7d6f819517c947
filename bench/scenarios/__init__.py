"""The scenarios, in the order in which a whole run goes through them.

Each module has `ABOUT` (a line for --help), `add_arguments(parser)`, `run(bench, options)`, which returns what is kept
as JSON, and `tables(result)`, which says it to people.
"""
