"""Measure one aspect each.

Each module has `ABOUT` (a line for --help), `add_arguments(parser)`, `run(bench, options)`, which returns the result as
JSON, and `tables(result)`, which makes tables of it.
"""
