"""The storm: the real server, bots and PostgreSQL under faults, and a checker that believes only logs and rows.

`make torture` runs it. The bots and people are programs that log each call (`calls`); `faults` has what is done to
them, to the server and to the database; `checker` and `figures` compare the logs with the rows and ask nothing of the
server's code. It is a test, and no measurement, so it is here and not in the bench.
"""
