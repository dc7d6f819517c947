"""Run beside the server's settings: sweep each time a line comes in, and print the moments and figures as JSON."""

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
