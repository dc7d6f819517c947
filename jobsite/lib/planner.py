"""Conditions for the ORM that leave PostgreSQL's planner no bad choice."""

from collections.abc import Iterable

from django.db.models import BooleanField, F, Func, Q, Value
from django.db.models.functions import Coalesce


def among(column: str, ids: Iterable[int]) -> Func:
    """This column is one of these ids: `column = ANY (array)`. The plan is that of `column__in`.

    One parameter, however many ids there are: with `__in` and a thousand of them Django and psycopg take longer to
    write the statement down than PostgreSQL to answer it. It goes as PostgreSQL's text for an array, since Django
    compares the parts of a condition with each other, and would look at each id of a list again and again.
    """
    return Func(
        F(column),
        Value("{" + ",".join(map(str, ids)) + "}"),
        template="%(expressions)s::bigint[])",
        arg_joiner=" = ANY (",
        output_field=BooleanField(),
    )


def unplanned(condition: Q) -> Coalesce:
    """This condition, hidden from the planner: rows are found by the other conditions, and then this one is asked.

    For rows that are found by their keys. After a quiet night PostgreSQL believes that next to nothing is held or due;
    when ten thousand bots fall silent at once, it would read all that is due, once for each batch, to find the batch.
    """
    return Coalesce(condition, Value(False), output_field=BooleanField())
