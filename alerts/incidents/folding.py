"""Keep the history of an incident that stays open short: lines of the sweep in its middle are folded into one.

A fleet that fails all day has lines for each sweep. What people wrote stays, and so do the sweep's first and newest
lines.
"""

from collections.abc import Collection

from django.db.models import Count, Sum
from django.db.models.functions import Greatest

from alerts.models import IncidentNote

#: How many lines of the sweep an incident keeps: the first and the newest. They are folded when there are `SLACK` more.
FIRST, NEWEST, SLACK = 10, 100, 50


def fold(incidents: Collection[int]) -> int:
    """Fold the lines of these incidents where they are too many. Returns how many were deleted."""
    lines = IncidentNote.objects.filter(incident__in=incidents, by="").order_by()
    counts = lines.values_list("incident").annotate(n=Count("pk")).filter(n__gt=FIRST + NEWEST + SLACK)
    return sum(_fold_one(incident) for incident, _ in counts)


def _fold_one(incident: int) -> int:
    lines = IncidentNote.objects.filter(incident=incident, by="")
    first = lines.order_by("pk").values_list("pk", flat=True)[FIRST - 1]
    edge = lines.order_by("-pk").values_list("pk", flat=True)[NEWEST]
    middle = lines.filter(pk__gt=first, pk__lte=edge)
    # One that stands for others counts as many as these.
    n = middle.aggregate(n=Sum(Greatest("folded", 1)))["n"]
    deleted, _ = middle.filter(pk__lt=edge).delete()
    lines.filter(pk=edge).update(folded=n, text=f"{n} lines of the sweep are left out here.")
    return deleted
