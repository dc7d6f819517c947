"""The arguments of `jobsitectl`."""

import argparse
import re
from typing import get_args

from ..answers import BotStatus, HealthStatus, JobStatus, Unique
from . import verbs
from .shown import warn

ABOUT = """Watch and command jobs and bots of Jobsite, over its API.

The server is JOBSITE_URL, http://127.0.0.1:8000 by default. The API key is JOBSITE_TOKEN, or is read from the file
JOBSITE_TOKEN_FILE, ~/.config/jobsite/token by default, which only you may read (mode 0600)."""
CODES = """exit codes:
  0  all was done; of wait: all jobs succeeded
  1  the server refused it, or a part of it; of wait: a job failed or was cancelled
  2  wrong arguments, or no API key
  3  the server could not be reached, or did not answer
  4  wait: a job had not ended in time"""
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parser() -> argparse.ArgumentParser:
    """What is understood. Each verb has its function as the default of `run`."""
    root = argparse.ArgumentParser(
        prog="jobsitectl", description=ABOUT, epilog=CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subs = root.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str) -> argparse.ArgumentParser:
        run = getattr(verbs, name)
        about = run.__doc__ or ""
        sub = subs.add_parser(name, help=about[:1].lower() + about[1:].partition(".")[0], description=about)
        sub.add_argument("--json", action="store_true", help="print JSON, an object on each line")
        sub.set_defaults(run=run)
        return sub

    ls = verb("ls")
    ls.add_argument("--status", choices=get_args(JobStatus), help="only jobs of this status")
    ls.add_argument("--kind", help="only jobs of this kind")
    ls.add_argument("--group", help="only jobs of this group")
    ls.add_argument("--key", help="only jobs with this key; needs --kind")
    ls.add_argument("--bot", help="only jobs that this bot holds: its id or name")
    verb("show").add_argument("job", metavar="JOB", help="its id")
    verb("explain").add_argument("job", metavar="JOB", help="its id")
    _enqueue(verb("enqueue"))
    wait = verb("wait")
    wait.add_argument("jobs", nargs="+", metavar="JOB", help="their ids")
    wait.add_argument("--timeout", type=seconds, default=3600.0, metavar="TIME", help="how long: 90, 5m, 2h (1h)")
    for name in ("release", "retry", "cancel"):
        sub = verb(name)
        sub.add_argument("jobs", nargs="+", metavar="JOB", help="their ids")
        sub.add_argument("--reason", help="why, for the history")
    for name in ("pause", "resume"):
        sub = verb(name)
        sub.add_argument("bots", nargs="+", metavar="BOT", help="their ids or names")
        sub.add_argument("--reason", help="why, for the history")
        if name == "pause":
            sub.add_argument("--for", dest="seconds", type=seconds, metavar="TIME", help="for how long: 90, 5m, 2h")
    bots = verb("bots")
    bots.add_argument("--status", choices=get_args(BotStatus), help="only bots of this status")
    bots.add_argument("--health", choices=get_args(HealthStatus), help="only bots of this health")
    verb("kinds").add_argument("kinds", nargs="*", metavar="KIND", help="only these")
    for sub in (ls, bots, verb("schedules")):
        sub.add_argument("--limit", type=number, default=50, metavar="N", help="at most so many (50); 0: all")
    _completion(root, subs.add_parser("completion", help="print the completion for a shell"))
    return root


def _enqueue(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("kind", nargs="?", metavar="KIND", help="the job's kind")
    sub.add_argument("payload", nargs="?", metavar="PAYLOAD", help="its payload as JSON; - reads standard input")
    sub.add_argument("--key", help="its idempotency key")
    sub.add_argument("--unique", choices=get_args(Unique), help="how long it keeps its key")
    sub.add_argument("--group", help="its group")
    sub.add_argument("--priority", type=int, help="higher goes first")
    sub.add_argument("--delay", type=seconds, metavar="TIME", help="due only after this time: 90, 5m, 2h")
    sub.add_argument(
        "--file", metavar="FILE", help="NDJSON, one job on each line, in place of KIND; - is standard input"
    )
    sub.add_argument("--skip-bad", action="store_true", help="with --file: leave bad lines out; without: all or none")


def _completion(root: argparse.ArgumentParser, sub: argparse.ArgumentParser) -> None:
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="needs pip install jobsite-client[cli]")

    def run(client: object, options: argparse.Namespace) -> int:
        try:
            import shtab
        except ImportError:
            warn("Completion needs shtab: pip install 'jobsite-client[cli]'.")
            return verbs.WRONG_USE
        print(shtab.complete(root, options.shell))
        return verbs.DONE

    sub.set_defaults(run=run)


def seconds(text: str) -> float:
    """A duration: a number of seconds, or one with s, m, h or d."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text, flags=re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration, like 90, 5m or 2h")
    return float(match[1]) * UNITS[match[2]]


def number(text: str) -> int:
    """A number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return int(text)
