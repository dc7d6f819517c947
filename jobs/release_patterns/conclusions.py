"""Is it the bot, the kind or the time of day? Who is compared with whom, in which order, and what is said of it. Pure.

Bots come first, each within the kinds it works on; then kinds, without the bots that stand out; then hours and
weekdays, within kinds and without what those bots gave back. So nobody is blamed for another
(docs/decisions/0011-release-patterns.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import floor, log10

from jobs.release_patterns.outliers import LEAST, Counts, Standing, standings

#: Sorts of values in one look: bots, kinds, hours and weekdays.
SORTS = 4
#: How many sentences name what stands out.
NAMED = 3

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Figures:
    """What is compared. All are counts by pairs; bots, kinds, hours and weekdays are texts (`"7"`, `"sum"`, `"3"`).

    `culprit_share`: for a set of bots, the share of what was given back in an hour or on a weekday that is theirs.
    """

    bots: Mapping[tuple[str, str], Counts]  # by bot and kind
    hours: Mapping[tuple[str, str], Counts] = field(default_factory=dict)  # by hour and kind
    weekdays: Mapping[tuple[str, str], Counts] = field(default_factory=dict)  # by weekday and kind; empty: too few
    bunched: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by sort and value
    share_of: Callable[[frozenset[str], str, str], float] = lambda bots, sort, value: 0.0


@dataclass(frozen=True)
class Verdict:
    """How everything stands. `blamed` and `hints` have what stands out, or may, as `(sort, standing)`, worst first.

    In the lists all leases are counted; how sure it is of a kind, an hour and a weekday comes from the leases of bots
    that do not stand out. `excused`: what gave back much, as `(sort, standing)`, because of something else.
    """

    bots: list[Standing]
    kinds: list[Standing]
    hours: list[Standing]
    weekdays: list[Standing]
    given: int
    leases: int
    blamed: list[tuple[str, Standing]]
    hints: list[tuple[str, Standing]]
    excused: list[tuple[str, Standing]]


def judge(figures: Figures) -> Verdict:
    """Compare everything with its like."""
    bots = standings(figures.bots, bunched=figures.bunched.get("bot"), sorts=SORTS)
    culprits = frozenset(one.value for one in bots if one.out and one.apart)
    by_kind = {(kind, bot): counts for (bot, kind), counts in figures.bots.items()}
    rest = {pair: counts for pair, counts in by_kind.items() if pair[1] not in culprits}
    kinds = _judged("kind", by_kind, rest, figures)
    hours = _timed("hour", figures.hours, culprits, figures)
    weekdays = _timed("weekday", figures.weekdays, culprits, figures)
    everything = [("bot", bots), ("kind", kinds), ("hour", hours), ("weekday", weekdays)]
    every = [(sort, one) for sort, ones in everything for one in ones]
    worst = sorted(every, key=lambda pair: pair[1].expected - pair[1].given)
    blamed = [(sort, one) for sort, one in worst if one.out]
    return Verdict(
        bots, kinds, hours, weekdays,
        given=sum(k for k, _ in figures.bots.values()),
        leases=sum(n for _, n in figures.bots.values()),
        blamed=_once(blamed, figures.bots),
        hints=[(sort, one) for sort, one in worst if one.hint],
        excused=_excused(figures, bots, kinds, culprits),
    )  # fmt: skip


def _judged(
    sort: str, full: Mapping[tuple[str, str], Counts], rest: Mapping[tuple[str, str], Counts], figures: Figures
) -> list[Standing]:
    """All that is shown is of all leases, and how sure it is comes from the rest."""
    bunched = figures.bunched.get(sort)
    shown = standings(full, bunched=bunched, sorts=SORTS)
    if rest == full:
        return shown
    judged = {one.value: one for one in standings(rest, bunched=bunched, sorts=SORTS)}
    return [_by(one, judged.get(one.value)) for one in shown]


def _by(shown: Standing, judged: Standing | None) -> Standing:
    if judged is None or not (judged.out or judged.hint):
        return replace(shown, chance=1.0)
    # It stands out without the culprits as well, and by so much.
    expected = shown.given / judged.times if judged.times else judged.expected
    return replace(shown, chance=judged.chance, apart=judged.apart, expected=expected)


def _timed(
    sort: str, cells: Mapping[tuple[str, str], Counts], culprits: frozenset[str], figures: Figures
) -> list[Standing]:
    def without(value: str, counts: Counts) -> Counts:
        given, leases = counts
        return given - round(given * figures.share_of(culprits, sort, value)), leases

    rest = {pair: without(pair[0], counts) for pair, counts in cells.items()} if culprits else cells
    return _judged(sort, cells, rest, figures)


def _once(blamed: list[tuple[str, Standing]], cells: Mapping[tuple[str, str], Counts]) -> list[tuple[str, Standing]]:
    """A kind that only one bot works on is named with that bot, when they cannot be told apart."""
    together = {one.value for sort, one in blamed if sort == "bot" and not one.apart}
    return [
        (sort, one)
        for sort, one in blamed
        if sort != "kind" or one.apart or not (workers(cells, one.value) <= together)
    ]


def workers(cells: Mapping[tuple[str, str], Counts], kind: str) -> set[str]:
    """The bots that had leases of this kind."""
    return {bot for (bot, of), (_, leases) in cells.items() if of == kind and leases}


def _excused(
    figures: Figures, bots: list[Standing], kinds: list[Standing], culprits: frozenset[str]
) -> list[tuple[str, Standing]]:
    """Bots that stand out until their kinds are looked at, and kinds that do until the culprits are left out."""
    bunched = figures.bunched
    crude: dict[tuple[str, str], Counts] = {}
    for (bot, _), (k, n) in figures.bots.items():
        given, leases = crude.get((bot, ""), (0, 0))
        crude[(bot, "")] = (given + k, leases + n)
    sure = {one.value for one in bots if one.out or one.hint}
    found = [
        ("bot", one)
        for one in standings(crude, bunched=bunched.get("bot"), sorts=SORTS)
        if one.out and one.value not in sure
    ]
    if culprits:
        by_kind = {(kind, bot): counts for (bot, kind), counts in figures.bots.items()}
        sure = {one.value for one in kinds if one.out or one.hint}
        plain: dict[tuple[str, str], Counts] = {}
        for (kind, _), (k, n) in by_kind.items():
            given, leases = plain.get((kind, ""), (0, 0))
            plain[(kind, "")] = (given + k, leases + n)
        found += [
            ("kind", one)
            for one in standings(plain, bunched=bunched.get("kind"), sorts=SORTS)
            if one.out and one.value not in sure
        ]
    return found


def of_one(
    bot: str, verdict: Verdict, cells: Mapping[tuple[str, str], Counts], names: Mapping[str, str]
) -> tuple[Verdict, list[str]]:
    """The verdict on one bot among the others, and how its own kinds stand beside each other, with what is said."""
    own = [one for one in verdict.bots if one.value == bot]
    kinds = standings({(kind, ""): counts for (of, kind), counts in cells.items() if of == bot}, sorts=SORTS)
    given, leases = sum(one.given for one in own), sum(one.leases for one in own)
    found = Verdict(
        own, kinds, [], [], given, leases,
        blamed=[pair for pair in verdict.blamed if pair in [("bot", one) for one in own]],
        hints=[pair for pair in verdict.hints if pair in [("bot", one) for one in own]],
        excused=[pair for pair in verdict.excused if pair[0] == "bot" and pair[1].value == bot],
    )  # fmt: skip
    if not own:
        return found, [f"No lease of {named('bot', bot, names)} ended in this range."]
    it, one = named("bot", bot, names), own[0]
    said = [_blame(sort, blamed, names, cells) for sort, blamed in found.blamed]
    said += [_hint(sort, hint, names) for sort, hint in found.hints]
    said += [_excuse(sort, excused, names) for sort, excused in found.excused]
    if not said:
        lead = f"One would expect {one.expected:.1f} of it, going by the others on the same kinds."
        said = [f"{it[0].upper()}{it[1:]} does not stand out: {_evidence(one)}. {lead}"]
    said += [f"Among its kinds, {named('kind', kind.value, names)}: {_evidence(kind)}." for kind in kinds if kind.out]
    return found, said


# --- In words -------------------------------------------------------------------------------------------------


def per_cent(share: float) -> str:
    """A share as `78 %`, `2.4 %` or `0.03 %`: two digits that say something."""
    if share in (0, 1) or share >= 0.0995:
        return f"{share * 100:.0f} %"
    return f"{share * 100:.1f} %" if share >= 0.00095 else f"{share * 100:.2g} %"


def number(n: int) -> str:
    """`12 400`, with a narrow space that does not break."""
    return f"{n:,}".replace(",", "\u202f")


def looks(chance: float) -> str:
    """How often chance alone would show it, among looks like this one."""
    if chance <= 1e-6:
        return "less than once in a million such looks"
    if chance > 0.5:
        return "in most such looks"
    many = 1 / chance
    step = 10 ** floor(log10(many))
    return f"less than once in {number(int(many // step * step))} such looks"


def named(sort: str, value: str, names: Mapping[str, str]) -> str:
    """What a value is called: `bot crawler-7`, `kind resize`, `the hour from 03:00 to 04:00`, `Monday`."""
    if sort == "bot":
        return f"bot {names.get(value, value)}"
    if sort == "kind":
        return f"kind {value}"
    if sort == "hour":
        return f"the hour from {int(value):02}:00 to {(int(value) + 1) % 24:02}:00"
    return WEEKDAYS[int(value) - 1]


def sentences(verdict: Verdict, names: Mapping[str, str], cells: Mapping[tuple[str, str], Counts]) -> list[str]:
    """The answer in plain words, the most important first. `names`: of bots, by id; `cells`: as in `Figures.bots`."""
    if not verdict.leases:
        return ["No lease ended in this range."]
    share = f"{number(verdict.given)} of {number(verdict.leases)} leases {_were(verdict.given)} given back"
    share += f" ({per_cent(verdict.given / verdict.leases)})"
    if not verdict.given:
        return [f"Nothing was given back: {share}."]
    said = [_blame(sort, one, names, cells) for sort, one in verdict.blamed[:NAMED]]
    said[1:] = [line.replace("It is ", "It is also ", 1) for line in said[1:]]
    if len(verdict.blamed) > NAMED:
        others = [named(sort, one.value, names) for sort, one in verdict.blamed[NAMED:]]
        more = "; ".join(others[:5]) + (" …" if len(others) > 5 else "")
        said.append(f"Further stand out: {more}.")
    if not said and verdict.given < LEAST:
        return [f"Too few to say anything: {share}. It takes at least {LEAST}."]
    if not said:
        said.append(f"Nothing stands out: {share}, spread as chance alone would spread them.")
    said += [_hint(sort, one, names) for sort, one in verdict.hints[:2]]
    said += [_excuse(sort, one, names) for sort, one in verdict.excused[:2]]
    return said


def _evidence(one: Standing) -> str:
    low, high = per_cent(one.low).removesuffix(" %"), per_cent(one.high).removesuffix(" %")
    said = (
        f"{number(one.given)} of its {number(one.leases)} leases {_were(one.given)} given back ({per_cent(one.share)}, "
    )
    said += f"between {low} and {high})"
    if one.others_share is not None:
        said += f", against {per_cent(one.others_share)} of the others"
    return said


def _were(many: int) -> str:
    return "was" if many == 1 else "were"


def _blame(sort: str, one: Standing, names: Mapping[str, str], cells: Mapping[tuple[str, str], Counts]) -> str:
    it = named(sort, one.value, names)
    sure = f"Chance alone would show this {looks(one.chance)}."
    if sort == "bot" and not one.apart:
        kinds = sorted(kind for (bot, kind), (_, n) in cells.items() if bot == one.value and n)
        theirs = f"kind {kinds[0]}" if len(kinds) == 1 else f"its kinds, {', '.join(kinds[:3])}"
        return (
            f"It is {it} or {theirs}: {_evidence(one)}. {sure} Hardly any other bot worked on the same, so the two "
            "cannot be told apart."
        )
    if sort == "kind" and not one.apart:
        many = len(workers(cells, one.value))
        whose = f"Its {many} bots worked on" if many > 1 else "Its bot worked on"
        return (
            f"It is {it}: {_evidence(one)}. {sure} {whose} hardly anything else, so it may also be something that they "
            "have in common."
        )
    within = {"bot": "on the same kinds", "kind": "in the hands of the same bots"}.get(sort, "in kinds")
    times = "" if one.times is None else f" {_times(one.times)} what the others would have, {within}."
    if sort in ("hour", "weekday"):
        times = "" if one.times is None else f" {_times(one.times)} what the mix of kinds leads one to expect."
    return f"It is {it}: {_evidence(one)}.{times} {sure}"


def _times(times: float) -> str:
    return f"That is {times:.0f} times" if times >= 10 else f"That is {times:.1f} times"


def _hint(sort: str, one: Standing, names: Mapping[str, str]) -> str:
    it = named(sort, one.value, names)
    return f"A hint, and no more: {it}. {_evidence(one)}; chance alone would show this {looks(one.chance)}."


def _excuse(sort: str, one: Standing, names: Mapping[str, str]) -> str:
    it = named(sort, one.value, names)
    because = "the others did as badly on the same kinds" if sort == "bot" else "that is the bots named above"
    return f"It is not {it}: {_evidence(one)}, but {because}."
