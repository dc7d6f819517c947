"""Run a bot of the client library whose jobs do nothing: `client_bot.py CONCURRENCY PREFETCH`, until SIGTERM."""

import os
import sys

from jobsite_client import Bot


def main() -> int:
    concurrency, prefetch = map(int, sys.argv[1:])
    url, token = os.environ["JOBSITE_URL"], os.environ["JOBSITE_TOKEN"]
    return Bot(url, token, {"noop": lambda job: None}, concurrency=concurrency, prefetch=prefetch).run()


if __name__ == "__main__":
    sys.exit(main())
