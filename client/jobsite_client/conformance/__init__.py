"""Check a bot in any language against a server that misbehaves: `python -m jobsite_client.conformance -- ./my-bot`.

The bot is started with `JOBSITE_URL` and `JOBSITE_TOKEN` in its environment, and gets jobs of three kinds:

`conformance.echo`   complete it, with the payload as its result
`conformance.fail`   fail it, with the payload's `error` as the error and its `retry` as `retry`
`conformance.sleep`  append the line `begin ID ATTEMPT` to the payload's `file`, then the line `work ID ATTEMPT` every
                     0.1 s until the payload's `seconds` are over, and complete it, with `{"slept": seconds}`

`RULES` are what is checked, `SCENARIOS` what happens to the bot. Only the standard library is used.
"""

from .rules import RULES
from .scenarios import SCENARIOS
from .trial import Fault, Outcome, run

__all__ = ["RULES", "SCENARIOS", "Fault", "Outcome", "run"]
