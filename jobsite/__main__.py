"""The command line of Jobsite: `manage.py` in the repository, `jobsite` where it was installed as a wheel.

`run` starts all of it on this machine, as `make run` does, and `version` prints the version of this code. Anything else
is a management command.
"""

import gc
import os
import sys


def main() -> None:
    """Run what the command line names."""
    # What a start imports is there until the end: collections of garbage among it are a tenth of the time, for nothing.
    gc.set_threshold(100_000)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")
    from jobsite.lib.version import VERSION

    match sys.argv[1:]:
        case ["version" | "--version"]:
            print(VERSION)
        case ["run"]:
            from jobsite.dev import demo

            sys.exit(demo.main())
        case arguments:
            from django.core.management import execute_from_command_line

            from jobsite.lib import log_context

            with log_context.begin(command=" ".join(arguments[:1])):
                execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
