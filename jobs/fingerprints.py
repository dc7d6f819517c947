"""Say which errors are alike: those whose last lines have the same words, without numbers, ids, quotes and paths.

The rule is the database function `jobs_error_words`, so that failures are counted, found by an index and shown by the
same one.
"""

from django.db.models import Expression, Func, TextField
from django.db.models.functions import MD5

#: How many characters of an error's last line are compared, and shown of it.
LINE_LENGTH = 300


def words(error: str | Expression = "error") -> Func:
    """The last line of an error without what differs from one failure to the next, for the ORM."""
    return Func(error, function="jobs_error_words", output_field=TextField())


def fingerprint(error: str | Expression = "error") -> MD5:
    """The same in few characters. The index `job_failed_alike` has it of failed jobs."""
    return MD5(words(error))


def last_line(error: str) -> str:
    """The last line of an error, which in a traceback says what went wrong."""
    return error.strip().rpartition("\n")[2].strip()
