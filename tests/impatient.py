"""The tests' settings, for a server that doubts its database after half a second, so that a test need not wait."""

from jobsite.lib.connections import silence
from tests.settings import *  # noqa: F403

silence.DOUBT_AFTER, silence.ANSWER_WITHIN = 0.5, 2
