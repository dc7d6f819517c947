"""Conclude whether a bot, a kind or a time of day causes returned leases, and word it. Pure.

Compares bots first, each within the kinds it works on; then kinds, without the bots that stand out; then hours and
weekdays, within kinds and without those bots' returns. So none is blamed for another
(docs/decisions/0011-release-patterns.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import floor, log10

from jobs.release_patterns.outliers import MIN_FACTOR, MIN_RETURNED, Comparison, LeaseCounts, compare, total, total_by

#: Sorts of values compared: bots, kinds, hours and weekdays.
SORTS = 4
#: The most sentences about outliers.
MAX_SENTENCES = 3

#: Counts by a value and its stratum.
Cells = Mapping[tuple[str, str], LeaseCounts]

#: What an outlier's number is compared with, in a sentence.
EXPECTED = {
    "bot": "the others would have, on the same kinds",
    "kind": "the others would have, by the same bots",
    "hour": "the mix of kinds suggests",
    "weekday": "the mix of kinds suggests",
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class ComparedCounts:
    """The counts to compare, by pairs. Bots, kinds, hours and weekdays are strings (`"7"`, `"sum"`, `"3"`).

    `share_of`: for a set of bots, their share of the leases returned in an hour or on a weekday.
    """

    bots: Cells  # by bot and kind
    hours: Cells = field(default_factory=dict)  # by hour and kind
    weekdays: Cells = field(default_factory=dict)  # by weekday and kind; empty: too few
    bunched: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by sort and value
    share_of: Callable[[frozenset[str], str, str], float] = lambda bots, sort, value: 0.0


@dataclass(frozen=True)
class Conclusions:
    """All comparisons. `blamed`, `hints`: outliers and possible ones, as `(sort, comparison)`, the worst first.

    The lists count all leases; the chances of kinds, hours and weekdays are computed without the bots that stand out.
    `excused`: values with many returns that another value explains, as `(sort, comparison)`.
    """

    bots: list[Comparison]
    kinds: list[Comparison]
    hours: list[Comparison]
    weekdays: list[Comparison]
    given: int
    leases: int
    blamed: list[tuple[str, Comparison]]
    hints: list[tuple[str, Comparison]]
    excused: list[tuple[str, Comparison]]


def conclude(figures: ComparedCounts) -> Conclusions:
    """Compare bots, kinds, hours and weekdays with their like."""
    bots = compare(figures.bots, bunched=figures.bunched.get("bot"), sorts=SORTS)
    culprits = frozenset(one.value for one in bots if one.out and one.apart)
    by_kind = {(kind, bot): counts for (bot, kind), counts in figures.bots.items()}
    rest = {pair: counts for pair, counts in by_kind.items() if pair[1] not in culprits} if culprits else by_kind
    kinds = _judged("kind", by_kind, rest, figures)
    hours = _timed("hour", figures.hours, culprits, figures)
    weekdays = _timed("weekday", figures.weekdays, culprits, figures)
    everything = [("bot", bots), ("kind", kinds), ("hour", hours), ("weekday", weekdays)]
    notable = [(sort, one) for sort, ones in everything for one in ones if one.out or one.hint]
    worst = sorted(notable, key=lambda pair: pair[1].expected - pair[1].given)
    excused = _excused("bot", bots, figures)
    # Kinds stand out without regard to bots only if some bot does.
    excused += _excused("kind", kinds, figures) if culprits else []
    return Conclusions(
        bots, kinds, hours, weekdays, *total(figures.bots.values()),
        blamed=_once([(sort, one) for sort, one in worst if one.out], figures.bots),
        hints=[(sort, one) for sort, one in worst if one.hint],
        excused=excused,
    )  # fmt: skip


def conclude_on(bot: str, figures: ComparedCounts) -> Conclusions:
    """Compare one bot with the others, and nothing else: what stands out of it depends on no other comparison."""
    own = compare(figures.bots, bunched=figures.bunched.get("bot"), sorts=SORTS, only={bot})
    crude = total_by(((value, ""), counts) for (value, _), counts in figures.bots.items())
    ones = compare(crude, bunched=figures.bunched.get("bot"), sorts=SORTS, only={bot})
    return Conclusions(
        own, [], [], [], *total((one.given, one.leases) for one in own),
        blamed=[("bot", one) for one in own if one.out],
        hints=[("bot", one) for one in own if one.hint],
        excused=[("bot", one) for one in ones if one.out and not any(it.out or it.hint for it in own)],
    )  # fmt: skip


def _judged(sort: str, full: Cells, rest: Cells, figures: ComparedCounts) -> list[Comparison]:
    """Compare all leases, with chances computed from `rest`."""
    bunched = figures.bunched.get(sort)
    shown = compare(full, bunched=bunched, sorts=SORTS)
    if rest is full or rest == full:
        return shown
    judged = {one.value: one for one in compare(rest, bunched=bunched, sorts=SORTS)}
    return [_by(one, judged.get(one.value)) for one in shown]


def _by(shown: Comparison, judged: Comparison | None) -> Comparison:
    if judged is None or not (judged.out or judged.hint):
        return replace(shown, chance=1.0)
    # It stands out without the culprits as well: scale its expected number to all leases.
    expected = shown.given / judged.times if judged.times else judged.expected
    return replace(shown, chance=judged.chance, apart=judged.apart, expected=expected)


def _timed(sort: str, cells: Cells, culprits: frozenset[str], figures: ComparedCounts) -> list[Comparison]:
    def without(value: str, counts: LeaseCounts) -> LeaseCounts:
        given, leases = counts
        return given - round(given * figures.share_of(culprits, sort, value)), leases

    rest = {pair: without(pair[0], counts) for pair, counts in cells.items()} if culprits else cells
    return _judged(sort, cells, rest, figures)


def _once(blamed: list[tuple[str, Comparison]], cells: Cells) -> list[tuple[str, Comparison]]:
    """Drop a kind that only one blamed bot works on: the sentence about the bot names both."""
    together = {one.value for sort, one in blamed if sort == "bot" and not one.apart}
    return [
        (sort, one)
        for sort, one in blamed
        if sort != "kind" or one.apart or not (workers(cells, one.value) <= together)
    ]


def workers(cells: Cells, kind: str) -> set[str]:
    """Return the bots that had leases of this kind."""
    return {bot for (bot, of), (_, leases) in cells.items() if of == kind and leases}


def _excused(sort: str, compared: list[Comparison], figures: ComparedCounts) -> list[tuple[str, Comparison]]:
    """Values that stand out only without regard to their strata."""
    given, leases = total((one.given, one.leases) for one in compared)
    # Those that may stand out. Without a part of a thousandth, since `times` may be rounded.
    likely = {
        one.value
        for one in compared
        if one.given >= MIN_RETURNED
        and one.given * (leases - one.leases) >= 0.999 * MIN_FACTOR * one.leases * (given - one.given)
    }
    if not likely:
        return []
    crude = {(one.value, ""): (one.given, one.leases) for one in compared}
    ones = compare(crude, bunched=figures.bunched.get(sort), sorts=SORTS, only=likely)
    sure = {one.value for one in compared if one.out or one.hint}
    return [(sort, one) for one in ones if one.out and one.value not in sure]


def of_one(bot: str, conclusions: Conclusions, cells: Cells, names: Mapping[str, str]) -> tuple[Conclusions, list[str]]:
    """Return the conclusions on one bot, with its kinds compared with each other, and the sentences."""
    own = conclusions.bots
    kinds = compare({(kind, ""): counts for (of, kind), counts in cells.items() if of == bot}, sorts=SORTS)
    found = replace(conclusions, kinds=kinds)
    if not own:
        return found, [f"No lease of {value_name('bot', bot, names)} ended in this range."]
    it, one = value_name("bot", bot, names), own[0]
    lines = [_blame(sort, blamed, names, cells) for sort, blamed in found.blamed]
    lines += [_hint(sort, hint, names) for sort, hint in found.hints]
    lines += [_excuse(sort, excused, names) for sort, excused in found.excused]
    if not lines:
        lead = f"Expected from the others on the same kinds: {one.expected:.1f}."
        lines = [f"{it[0].upper()}{it[1:]} does not stand out: {_evidence(one)}. {lead}"]
    lines += [
        f"Among its kinds, {value_name('kind', kind.value, names)}: {_evidence(kind)}." for kind in kinds if kind.out
    ]
    return found, lines


# --- Wording ----------------------------------------------------------------------------------------------------


def per_cent(share: float) -> str:
    """Format a share as `78 %`, `2.4 %` or `0.03 %`: two significant digits."""
    if share in (0, 1) or share >= 0.0995:
        return f"{share * 100:.0f} %"
    return f"{share * 100:.1f} %" if share >= 0.00095 else f"{share * 100:.2g} %"


def number(n: int) -> str:
    """Format as `12 400`, with narrow no-break spaces."""
    return f"{n:,}".replace(",", "\u202f")


def in_words(chance: float) -> str:
    """Say how often chance alone would show this in such a report."""
    if chance <= 1e-6:
        return "less than once in a million such reports"
    if chance > 0.5:
        return "in most such reports"
    times = 1 / chance
    step = 10 ** floor(log10(times))
    return f"less than once in {number(int(times // step * step))} such reports"


def value_name(sort: str, value: str, names: Mapping[str, str]) -> str:
    """Name a value: `bot crawler-7`, `kind resize`, `the hour from 03:00 to 04:00`, `Monday`."""
    if sort == "bot":
        return f"bot {names.get(value, value)}"
    if sort == "kind":
        return f"kind {value}"
    if sort == "hour":
        return f"the hour from {int(value):02}:00 to {(int(value) + 1) % 24:02}:00"
    return WEEKDAYS[int(value) - 1]


def sentences(conclusions: Conclusions, names: Mapping[str, str], cells: Cells) -> list[str]:
    """Word the conclusions, the most important first. `names`: of bots, by id. `cells`: as `ComparedCounts.bots`."""
    if not conclusions.leases:
        return ["No lease ended in this range."]
    share = f"{number(conclusions.given)} of {number(conclusions.leases)} leases {_were(conclusions.given)} returned"
    share += f" ({per_cent(conclusions.given / conclusions.leases)})"
    if not conclusions.given:
        return [f"No lease was returned: {share}."]
    lines = [_blame(sort, one, names, cells) for sort, one in conclusions.blamed[:MAX_SENTENCES]]
    lines[1:] = [line.replace("It is ", "It is also ", 1) for line in lines[1:]]
    if len(conclusions.blamed) > MAX_SENTENCES:
        others = [value_name(sort, one.value, names) for sort, one in conclusions.blamed[MAX_SENTENCES:]]
        more = "; ".join(others[:5]) + (" …" if len(others) > 5 else "")
        lines.append(f"Also: {more}.")
    if not lines and conclusions.given < MIN_RETURNED:
        return [f"Too few to compare: {share}. At least {MIN_RETURNED} are needed."]
    if not lines:
        lines.append(f"Nothing stands out: {share}, spread as by chance.")
    lines += [_hint(sort, one, names) for sort, one in conclusions.hints[:2]]
    lines += [_excuse(sort, one, names) for sort, one in conclusions.excused[:2]]
    return lines


def _evidence(one: Comparison) -> str:
    low, high = per_cent(one.low).removesuffix(" %"), per_cent(one.high).removesuffix(" %")
    others = "" if one.others_share is None else f", against {per_cent(one.others_share)} of the others"
    leases = f"{number(one.given)} of its {number(one.leases)} leases {_were(one.given)} returned"
    return f"{leases} ({per_cent(one.share)}, between {low} and {high}){others}"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _blame(sort: str, one: Comparison, names: Mapping[str, str], cells: Cells) -> str:
    it = value_name(sort, one.value, names)
    sure = f"Chance alone would show this {in_words(one.chance)}."
    if sort == "bot" and not one.apart:
        kinds = sorted(kind for (bot, kind), (_, n) in cells.items() if bot == one.value and n)
        theirs = f"kind {kinds[0]}" if len(kinds) == 1 else f"its kinds, {', '.join(kinds[:3])}"
        return (
            f"It is {it} or {theirs}: {_evidence(one)}. {sure} Hardly any other bot worked on the same, so the two "
            "cannot be separated."
        )
    if sort == "kind" and not one.apart:
        n = len(workers(cells, one.value))
        whose = f"Its {n} bots worked on" if n > 1 else "Its bot worked on"
        return (
            f"It is {it}: {_evidence(one)}. {sure} {whose} hardly anything else, so the cause may also be "
            "something they have in common."
        )
    times = ""
    if one.times is not None:
        digits = 0 if one.times >= 10 else 1
        times = f" That is {one.times:.{digits}f} times what {EXPECTED[sort]}."
    return f"It is {it}: {_evidence(one)}.{times} {sure}"


def _hint(sort: str, one: Comparison, names: Mapping[str, str]) -> str:
    it = value_name(sort, one.value, names)
    return f"Only a hint: {it}. {_evidence(one)}; chance alone would show this {in_words(one.chance)}."


def _excuse(sort: str, one: Comparison, names: Mapping[str, str]) -> str:
    it = value_name(sort, one.value, names)
    because = "the others did as badly on the same kinds" if sort == "bot" else "the bots named above explain it"
    return f"It is not {it}: {_evidence(one)}, but {because}."
