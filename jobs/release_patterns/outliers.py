"""Which values stand out, and how sure that is: counts of leases given back, among leases that ended. Pure.

What is compared is always the same: a value's (a bot's, a kind's, an hour's) share of leases given back with what it
would be if it did as the rest does *within the same strata* (a bot's strata are the kinds it works on), so that a
bot is not blamed for its kind. docs/decisions/0011-release-patterns.md says why each method is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, exp, floor, inf, lgamma, log, log1p
from statistics import NormalDist

from jobsite.lib.proportions import wilson

#: The share of looks at pure noise in which anything at all is said to stand out, at most.
LEVEL = 0.01
#: Up to here it may be chance, and is called a hint.
HINT = 0.05
#: Fewer than so many given back say nothing, however few the leases.
LEAST = 5
#: Less than so many times the others' share is not worth an operator's walk, however sure.
LEAST_TIMES = 1.5
#: At least this part of a value's leases must be in strata where others are, or it cannot be told from its strata.
TOLD_APART = 0.2
#: Others in a stratum, below which it says nothing of a value.
LEAST_OTHERS = 20

#: `(given back, leases that ended)`.
Counts = tuple[int, int]


def interval(given: int, leases: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share (`jobsite.lib.proportions`), with this confidence."""
    return wilson(given, leases, NormalDist().inv_cdf((1 + confidence) / 2))


def at_least(k: int, n: int, share: float) -> float:
    """The chance of `k` or more in `n` independent tries that each come true with this chance: the binomial's tail.

    Added up from the first term on, each from the one before; the first from the logarithm of the gamma function, so
    that neither large counts nor small chances overflow.
    """
    if k <= 0:
        return 1.0
    if k > n or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if k <= n * share:
        # The longer tail: all but the shorter one.
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
    """How much more bunched counts are than chance has it: their variance over their mean, and at least 1.

    `counts` are of the windows in which there was anything, `windows` is how many there were. The index of dispersion
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
class Standing:
    """One value among the others. Shares are from 0 to 1.

    `expected`: how many it would have given back if it did as the others in the same strata. `chance`: in what share of
    looks chance alone would show anything as far out; 1 for what was not tested. `apart`: whether its strata could be
    told from it.
    """

    value: str
    given: int
    leases: int
    low: float
    high: float
    others_given: int
    others_leases: int
    expected: float
    chance: float = 1.0
    apart: bool = True

    @property
    def share(self) -> float:
        return self.given / self.leases if self.leases else 0.0

    @property
    def others_share(self) -> float | None:
        """The others' share, all strata together; None when there are no others."""
        return self.others_given / self.others_leases if self.others_leases else None

    @property
    def times(self) -> float | None:
        """How many times what was expected (indirect standardisation); None when nothing was expected of it."""
        return self.given / self.expected if self.expected > 0 else None

    @property
    def _enough(self) -> bool:
        return self.given >= LEAST and (self.times is None or self.times >= LEAST_TIMES)

    @property
    def out(self) -> bool:
        """Whether it stands out."""
        return self.chance <= LEVEL and self._enough

    @property
    def hint(self) -> bool:
        """Whether it may stand out, and it may be chance."""
        return LEVEL < self.chance <= HINT and self._enough


def standings(
    cells: Mapping[tuple[str, str], Counts], *, bunched: Mapping[str, float] | None = None, sorts: int = 1
) -> list[Standing]:
    """How each value stands, the most given back first. `cells`: counts by `(value, stratum)`.

    `bunched` has the `dispersion` of values (1 where it is silent). `sorts` is how many sorts of values are looked at
    in one look: a false alarm's chance is that of the whole look, divided equally among the sorts and, within each,
    among its values (Bonferroni's inequality: `chance` is a value's own, times how many values and sorts there are).
    """
    by_value: dict[str, dict[str, Counts]] = {}
    strata: dict[str, Counts] = {}
    for (value, stratum), counts in cells.items():
        if counts[1]:
            by_value.setdefault(value, {})[stratum] = counts
            strata[stratum] = _sum(strata.get(stratum, (0, 0)), counts)
    whole = (0, 0)
    for counts in strata.values():
        whole = _sum(whole, counts)
    found = [
        _standing(value, own, strata, whole, (bunched or {}).get(value, 1.0), sorts * len(by_value))
        for value, own in by_value.items()
    ]
    return sorted(found, key=lambda one: (-one.given, -one.share, one.value))


def _sum(a: Counts, b: Counts) -> Counts:
    return a[0] + b[0], a[1] + b[1]


def _standing(
    value: str, own: Mapping[str, Counts], strata: Mapping[str, Counts], whole: Counts, bunched: float, looks: int
) -> Standing:
    given, leases = sum(k for k, _ in own.values()), sum(n for _, n in own.values())
    # The strata in which there are enough others to compare with.
    shared = [
        (counts, strata[stratum])
        for stratum, counts in own.items()
        if strata[stratum][1] - counts[1] >= min(LEAST_OTHERS, max(1, counts[1]))
    ]
    apart = sum(n for (_, n), _ in shared) >= TOLD_APART * leases
    if not apart:
        shared = [((given, leases), whole)]
    p = _chance(shared, bunched) if given >= LEAST else 1.0
    # What it would have given back at the others' share, in each stratum in which there are others.
    compared_given, compared_expected = 0, 0.0
    for (k, n), (all_given, all_leases) in shared:
        compared_given += k
        if all_leases > n:
            compared_expected += n * (all_given - k) / (all_leases - n)
    # Where there are none, as many times less than it did as elsewhere.
    times = compared_given / compared_expected if compared_expected else inf
    expected = 0.0 if times == inf else (given / times if times else compared_expected)
    low, high = interval(given, leases)
    return Standing(
        value, given, leases, low, high, whole[0] - given, whole[1] - leases, expected, min(1.0, p * looks), apart
    )


def _chance(shared: list[tuple[Counts, Counts]], bunched: float) -> float:
    """The chance of so many given back or more, if the value did as everybody in its strata: never too small.

    Given what all gave back in a stratum, and how many leases the value had there, its part is hypergeometric, and
    its total a sum of these: the exact test that goes with Mantel and Haenszel (JNCI 22 (1959), 719-748). A
    hypergeometric count is a sum of independent tries of unequal chances, as many as the smaller of the two margins
    (Vatutin and Mikhailov, Theory of Probability and its Applications 27 (1982), 734-743). Of all such sums with one
    mean the binomial has the heaviest tail, from one above the mean on (Hoeffding, Annals of Mathematical Statistics 27
    (1956), 713-721). So the binomial's tail bounds the exact one, strata and all, at no cost.
    """
    given = sum(k for (k, _), _ in shared)
    mean = sum(n * all_given / all_leases for (_, n), (all_given, all_leases) in shared)
    tries = sum(min(n, all_given) for (_, n), (all_given, _) in shared)
    k, mean, tries = floor(given / bunched), mean / bunched, ceil(tries / bunched)
    if tries == 0 or k < mean + 1:
        return 1.0
    return at_least(k, tries, mean / tries)
