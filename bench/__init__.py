"""Measure Jobsite beside its peers. See `make bench`, and README.md in this folder."""
