"""`jobsite-bot module:bot`: run a bot that a module defines, or check that it could run."""

import argparse
import dataclasses
import importlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence

from ..bot import EXIT_REFUSED, EXIT_RESTART, Bot
from ..claimer import new_instance
from ..errors import JobsiteError, Unavailable
from ..logs import log_to_stderr
from . import reloading, shown
from .access import Usage
from .verbs import DONE, REFUSED, UNREACHABLE, WRONG_USE

ABOUT = "Run a bot: `jobsite-bot tasks:bot` runs the Bot that is called `bot` in the module `tasks`."
CODES = """exit codes:
  0, 75, 76, 77  as the bot ends: see client/README.md
  2              the module or its bot cannot be used
  of --check: 0  the bot may take all its kinds; 1 it may not; 77 the server refuses it; 3 it did not answer"""

log = logging.getLogger("jobsite_client")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="jobsite-bot", description=ABOUT, epilog=CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", metavar="MODULE:BOT", help="the module, and the name of the Bot in it")
    parser.add_argument("--processes", type=int, metavar="N", help="run handlers in so many processes")
    parser.add_argument("--reload", action="store_true", help="for development: start again when a file changes")
    parser.add_argument("--check", action="store_true", help="print kinds and access, and claim nothing")
    options = parser.parse_args(arguments)
    if options.processes is not None and options.processes < 1:
        parser.error("--processes is at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or check the bot. Returns the exit code."""
    options = read_options(arguments)
    sys.path.insert(0, os.getcwd())
    watch = reloading.Watch(options.target)
    try:
        bot = load(options.target)
    except Usage as error:
        shown.warn(f"jobsite-bot: {error}")
        return WRONG_USE
    except Exception:
        traceback.print_exc()
        if options.reload:
            # The next change may mend it.
            watch.wait()
            reloading.start_again(arguments)
        return WRONG_USE
    if options.processes:
        bot.options = dataclasses.replace(bot.options, processes=options.processes, concurrency=1)
    if options.check:
        return check(bot)
    if not logging.getLogger().handlers:
        log_to_stderr()
    return _run(bot, watch, arguments) if options.reload else bot.run()


def load(target: str) -> Bot:
    """The bot that `module:name` names. Raises Usage if there is none, and what the module raises."""
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise Usage(f"Name a module and the bot in it, like tasks:bot, not {target!r}.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise Usage(f"There is no module {module_name} here or in the environment.") from None
    bot = getattr(module, name, None)
    if not isinstance(bot, Bot):
        raise Usage(f"{module_name} has no Bot that is called {name}.")
    return bot


def _run(bot: Bot, files: reloading.Watch, arguments: Sequence[str] | None) -> int:
    changed = threading.Event()

    def watch() -> None:
        log.info("A file changed: %s. The bot starts again.", files.wait())
        changed.set()
        bot.stop()

    threading.Thread(target=watch, name="jobsite-reload", daemon=True).start()
    code = bot.run()
    if changed.is_set() or code == EXIT_RESTART:
        reloading.start_again(arguments)
    return code


def check(bot: Bot) -> int:
    """Print what the bot takes, and what the server lets it take. An instance of its own calls hello and goodbye."""
    try:
        if not bot.handlers:
            raise Usage("The bot has no handler.")
        known = bot.client.hello(new_instance(), alone=False, version=bot.options.version, kinds=bot.kinds, retry_for=0)
        bot.client.goodbye(retry_for=0)
    except Usage as error:
        shown.warn(f"jobsite-bot: {error}")
        return WRONG_USE
    except Unavailable as error:
        shown.warn(f"jobsite-bot: {error.detail}")
        return UNREACHABLE
    except JobsiteError as error:
        shown.warn(f"jobsite-bot: {error.detail}")
        return EXIT_REFUSED
    may = known["kinds"]
    facts = {
        "bot": f"{known['name']} (id {known['bot_id']})",
        "handlers": ", ".join(bot.kinds),
        "may take": ", ".join(may) or "all kinds",
        "jobs at a time": known["capacity"] if known["capacity"] is not None else "no limit",
        "paused": known["paused"],
    }
    shown.fields(facts)
    for warning in known["warnings"]:
        shown.warn(warning)
    return REFUSED if may and not {*bot.kinds} <= {*may} else DONE


if __name__ == "__main__":
    sys.exit(main())
