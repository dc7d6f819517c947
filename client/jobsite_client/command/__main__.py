"""`jobsitectl`: for people and scripts."""

import os
import sys
from collections.abc import Sequence

from ..api import Client
from ..errors import JobsiteError, Unavailable
from . import access, shown
from .parser import parser
from .verbs import REFUSED, UNREACHABLE, WRONG_USE

# Seconds of trying while the server does not answer: somebody waits.
RETRY_FOR = 5.0
INTERRUPTED, CLOSED_PIPE = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names. Returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "completion":
            return int(options.run(None, options))
        with Client(access.address(), access.token(), retry_for=RETRY_FOR) as client:
            code = int(options.run(client, options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough. Nothing more can be written, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (access.Usage, ValueError) as error:
        shown.warn(f"jobsitectl: {error}")
        return WRONG_USE
    except Unavailable as error:
        shown.warn(f"jobsitectl: {error.detail}")
        return UNREACHABLE
    except JobsiteError as error:
        shown.warn(f"jobsitectl: {error.detail}")
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
