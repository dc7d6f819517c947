"""The bots that take a kind, in words: how many can take a job now, and why the others cannot."""

from jobs.lists import takers


def reasons(bots: dict[str, int]) -> str:
    """Reasons why bots cannot take a job, with counts. A bot counts under its first reason."""
    found = ((bots[name], name.replace("_", " ")) for name in takers.CANNOT)
    return ", ".join(f"{n} {name}" for n, name in found if n)


def taking(bots: dict[str, int], kind: str) -> str:
    """How many bots take a kind, and what they can do now."""
    if not bots["all"]:
        return f"none takes jobs of kind {kind}"
    others = reasons(bots)
    return f"{bots['all']} take its kind: {bots['ready']} can take a job now, {bots['idle']} of them idle" + (
        f"; {others}" if others else ""
    )
