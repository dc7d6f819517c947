"""Time zones by their names, from the pinned package `tzdata` and never from the machine's own files.

So every machine computes the same moments, and a new rule comes with a new version of the package.
"""

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo


@cache
def names() -> frozenset[str]:
    """The names of all zones."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of this name. KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
