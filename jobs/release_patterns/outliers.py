"""Find outliers among values by their share of returned leases, with the confidence. Pure.

Compares a value's (a bot's, a kind's, an hour's) share of returned leases with the share expected if it behaved like
the others *within the same strata* (a bot's strata are the kinds it works on), so that a bot is not blamed for its
kind. docs/decisions/0011-release-patterns.md explains each method.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil, exp, floor, inf, lgamma, log, log1p
from statistics import NormalDist
from typing import TypeVar

from jobsite.lib.proportions import wilson

#: The significance level of a whole report: the chance of any false alarm.
LEVEL = 0.01
#: Up to this level it is shown as a hint.
HINT = 0.05
#: The least number of returned leases that can stand out.
MIN_RETURNED = 5
#: The least factor over the expected number that is reported, however significant.
MIN_FACTOR = 1.5
#: The least part of a value's leases in strata with others. With less it cannot be separated from its strata.
MIN_SHARED = 0.2
#: The least number of others' leases for a stratum to count.
MIN_OTHERS = 20

#: The confidence of intervals, in standard deviations: 95 %.
DEVIATIONS = NormalDist().inv_cdf(0.975)

#: `(returned leases, ended leases)`.
LeaseCounts = tuple[int, int]
Key = TypeVar("Key")
#: A value's `(returned leases, ended leases)` in one stratum, and those of all values in it.
OwnCounts = tuple[int, int, list[int]]


def total(counts: Iterable[LeaseCounts]) -> LeaseCounts:
    """Return the sum of these counts."""
    given = leases = 0
    for one, other in counts:
        given += one
        leases += other
    return given, leases


def total_by(pairs: Iterable[tuple[Key, LeaseCounts]]) -> dict[Key, LeaseCounts]:
    """Return the sums of counts with the same key."""
    sums: dict[Key, LeaseCounts] = {}
    # Plain arithmetic: a large fleet has a hundred thousand pairs.
    for key, (given, leases) in pairs:
        before = sums.get(key)
        sums[key] = (given, leases) if before is None else (before[0] + given, before[1] + leases)
    return sums


def at_least(k: int, n: int, share: float) -> float:
    """Return the chance of `k` or more successes in `n` independent tries of chance `share`: the binomial tail.

    Sums the terms, each computed from the one before and the first from the log-gamma function, so that large counts
    and small chances do not overflow.
    """
    if k <= 0:
        return 1.0
    if k > n or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if k <= n * share:
        # Compute the shorter tail.
        return max(0.0, 1.0 - at_least(n - k + 1, n, 1 - share))
    first = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share)
    term, total, odds = 1.0, 0.0, share / (1 - share)
    for i in range(k, n + 1):
        total += term
        term *= (n - i) / (i + 1) * odds
        if term < total * 1e-17:
            break
    return min(1.0, exp(min(0.0, first + log(total))))


def dispersion(counts: Iterable[int], windows: float) -> float:
    """Return how much counts are bunched compared with chance: their variance over their mean, at least 1.

    `counts`: of windows with any. `windows`: the number of all windows. The index of dispersion
    (R. A. Fisher, "Statistical methods for research workers", 1925, chapter III): 1 for what comes independently, about
    m for what comes m at a time. As a design effect it is divided out of counts before they are tested (Rao and Scott,
    "A simple method for the analysis of clustered binary data", Biometrics 48 (1992), 577-585).
    """
    some = [count for count in counts if count]
    total = sum(some)
    if not total:
        return 1.0
    return max(1.0, sum(count * count for count in some) / total - total / max(windows, len(some)))


@dataclass(frozen=True)
class Comparison:
    """One value compared with the others. Shares are from 0 to 1.

    `expected`: the number of returned leases at the others' share in the same strata. `chance`: the corrected p-value;
    1 if not tested. `apart`: whether the value could be separated from its strata.
    """

    value: str
    given: int
    leases: int
    others_given: int
    others_leases: int
    expected: float
    chance: float = 1.0
    apart: bool = True

    @property
    def low(self) -> float:
        """The lower end of the interval of its share."""
        return wilson(self.given, self.leases, DEVIATIONS)[0]

    @property
    def high(self) -> float:
        """The upper end."""
        return wilson(self.given, self.leases, DEVIATIONS)[1]

    @property
    def share(self) -> float:
        return self.given / self.leases if self.leases else 0.0

    @property
    def others_share(self) -> float | None:
        """The others' share, all strata together; None when there are no others."""
        return self.others_given / self.others_leases if self.others_leases else None

    @property
    def times(self) -> float | None:
        """The factor over the expected number (indirect standardisation); None if nothing was expected."""
        return self.given / self.expected if self.expected > 0 else None

    @property
    def _large_enough(self) -> bool:
        return self.given >= MIN_RETURNED and (self.times is None or self.times >= MIN_FACTOR)

    @property
    def out(self) -> bool:
        """Whether it stands out."""
        return self.chance <= LEVEL and self._large_enough

    @property
    def hint(self) -> bool:
        """Whether it may stand out, or be chance."""
        return LEVEL < self.chance <= HINT and self._large_enough


def compare(
    cells: Mapping[tuple[str, str], LeaseCounts],
    *,
    bunched: Mapping[str, float] | None = None,
    sorts: int = 1,
    only: Collection[str] | None = None,
) -> list[Comparison]:
    """Compare each value with the others, the most returned first. `cells`: counts by `(value, stratum)`.

    `only`: return the comparisons of these values alone. None: of all.

    `bunched`: the `dispersion` of values (default 1). `sorts`: the number of sorts of values compared in one
    report: the chance of a false alarm is that of the whole report, divided equally among the sorts and, within each,
    among its values (Bonferroni's inequality: `chance` is a value's own, times how many values and sorts there are).
    """
    strata: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    by_value: defaultdict[str, list[OwnCounts]] = defaultdict(list)
    # Plain loops, here and below: of ten thousand bots there are twenty thousand pairs and more.
    for (value, stratum), (given, leases) in cells.items():
        if leases:
            sums = strata[stratum]
            sums[0] += given
            sums[1] += leases
            by_value[value].append((given, leases, sums))
    everything = [sum(column) for column in zip(*strata.values(), strict=True)]
    found = [
        _compare_one(value, own, everything, (bunched or {}).get(value, 1.0), sorts * len(by_value))
        for value, own in by_value.items()
        if only is None or value in only
    ]
    return sorted(found, key=lambda one: (-one.given, -one.share, one.value))


@dataclass(frozen=True)
class _Shared:
    """Sums over strata with others: the value's own leases, and what to expect of it.

    `expected`: of the returned ones at the others' shares; `mean`: at all shares, its own included. `tries`: the most
    that could have been returned.
    """

    given: int
    leases: int
    expected: float
    mean: float
    tries: int


def _sums(own: list[OwnCounts], *, all_are_shared: bool) -> _Shared:
    given = leases = tries = 0
    expected = mean = 0.0
    for k, n, (all_given, all_leases) in own:
        others = all_leases - n
        # A stratum with enough others to compare with.
        if not (all_are_shared or others >= (n if n < MIN_OTHERS else MIN_OTHERS)):
            continue
        given += k
        leases += n
        if others:
            expected += n * (all_given - k) / others
        mean += n * all_given / all_leases
        tries += n if n < all_given else all_given
    return _Shared(given, leases, expected, mean, tries)


def _compare_one(value: str, own: list[OwnCounts], everything: list[int], bunched: float, tests: int) -> Comparison:
    given, leases = sum([k for k, _, _ in own]), sum([n for _, n, _ in own])
    shared = _sums(own, all_are_shared=False)
    apart = shared.leases >= MIN_SHARED * leases
    if not apart:
        shared = _sums([(given, leases, everything)], all_are_shared=True)
    p = _chance(shared, bunched) if given >= MIN_RETURNED else 1.0
    # In strata without others, assume the same factor.
    times = shared.given / shared.expected if shared.expected else inf
    expected = 0.0 if times == inf else (given / times if times else shared.expected)
    return Comparison(
        value, given, leases, everything[0] - given, everything[1] - leases, expected, min(1.0, p * tests), apart
    )


def _chance(shared: _Shared, bunched: float) -> float:
    """Return an upper bound of the p-value: the chance of as many returned if the value behaved like its strata.

    Given what all gave back in a stratum, and how many leases the value had there, its part is hypergeometric, and
    its total a sum of these: the exact test that goes with Mantel and Haenszel (JNCI 22 (1959), 719-748). A
    hypergeometric count is a sum of independent tries of unequal chances, as many as the smaller of the two margins
    (Vatutin and Mikhailov, Theory of Probability and its Applications 27 (1982), 734-743). Of all such sums with one
    mean the binomial has the heaviest tail, from one above the mean on (Hoeffding, Annals of Mathematical Statistics 27
    (1956), 713-721). So the binomial's tail bounds the exact one, strata and all, at no cost.
    """
    k, mean, tries = floor(shared.given / bunched), shared.mean / bunched, ceil(shared.tries / bunched)
    if tries == 0 or k < mean + 1:
        return 1.0
    return at_least(k, tries, mean / tries)
