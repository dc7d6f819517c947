"""Build conditions for the ORM that keep PostgreSQL's planner from bad plans."""

from collections.abc import Iterable

from django.db.models import BooleanField, F, Func, Q, Value
from django.db.models.functions import Coalesce


def any_of(column: str, ids: Iterable[int]) -> Func:
    """Match a column with a list of ids: `column = ANY (array)`. The plan is that of `column__in`.

    It has one parameter for any number of ids: with `__in` and a thousand of them, Django and psycopg take longer to
    write the statement than PostgreSQL to answer it. The array is passed as text, since Django compares the parts of a
    condition with each other, and would compare each id of a list many times.
    """
    return Func(
        F(column),
        Value("{" + ",".join(map(str, ids)) + "}"),
        template="%(expressions)s::bigint[])",
        arg_joiner=" = ANY (",
        output_field=BooleanField(),
    )


def fenced(condition: Q) -> Coalesce:
    """Hide a condition from the planner: PostgreSQL finds rows by the other conditions and then checks this one.

    Use it for rows that are found by their keys. After a quiet night the planner's statistics say that few jobs are
    held or due. When ten thousand bots fall silent at once, it would read all due jobs for each batch.
    """
    return Coalesce(condition, Value(False), output_field=BooleanField())
