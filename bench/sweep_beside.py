"""Sweep for each line of standard input, and print times and counts as JSON. Runs as a program."""

import json
import sys
import time

import django


def main() -> None:
    django.setup()
    from django.db import connection

    from jobs.sweep.run import sweep

    connection.ensure_connection()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.monotonic()
        swept = sweep()
        print(json.dumps({"start": start, "end": time.monotonic(), "counts": swept.counts()}), flush=True)


if __name__ == "__main__":
    main()
