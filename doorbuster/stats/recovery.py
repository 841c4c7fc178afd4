"""Did the shop come back after the peak, and how long did it take?

A shop that was fine at some rate, was overloaded, and is not fine at that rate again without help is
metastable: retries, full queues or cold caches keep it down. Goodput is the customers who got what they came
for, counted at the time they arrived, over those who came: unlike a count of completions it does not hang on
chance in the arrivals, and work for customers who have left does not count.

Rules of this module:
- Recovered is a stretch of `HOLD` windows in a row with at least 95 % of the baseline's goodput, pooled.
- "Metastable" needs `HOLD` windows in which the demand was back down, and the exact 95 % interval of the last
  of them below that. A shop that is still working off a peak which has only just passed is not known yet.

Source: Bronson et al. (2021), "Metastable failures in distributed systems", HotOS, and Huang et al. (2022),
OSDI (goodput after the trigger as the sign); the ten windows are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from doorbuster.stats.outage import Share
from doorbuster.stats.proportion import clopper_pearson

KEPT_RATIO = 0.95
HOLD = 10
MIN_CUSTOMERS = 20

Course = Literal["held", "recovered", "metastable", "unknown"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of goodput after the peak.

    `windows` is how many windows after the end of the peak the shop recovered, None when it did not (or
    nobody can tell). `limit_ratio` is the goodput asked for, `last` that of the last stretch.
    """

    course: Course
    windows: int | None
    limit_ratio: float
    last: Share
    why: str = ""


def recover(peak: Share, after: Sequence[Share], *, baseline_ratio: float, calm_from: int = 0) -> Recovery:
    """How goodput went.

    Args:
        peak: customers of the peak; after: those of each window behind it, in order of time.
        baseline_ratio: goodput before the peak, 0..1; 1 when the run has no baseline.
        calm_from: the window of `after` from which on the demand was back at the baseline's level.
    """
    limit = KEPT_RATIO * baseline_ratio
    hold = min(HOLD, len(after))
    last = _pooled(after[len(after) - hold :])
    if not peak.n:
        return Recovery("unknown", None, limit, last, "nobody came at the peak")
    everyone = _pooled([peak, *after])
    if peak.k >= limit * peak.n and (not after or everyone.k >= limit * everyone.n):
        return Recovery("held", 0, limit, last)
    if last.n < MIN_CUSTOMERS:
        why = f"only {last.n} customers came at the end; it takes {MIN_CUSTOMERS} to tell"
        return Recovery("unknown", None, limit, last, why)
    for start in range(len(after) - hold + 1):
        stretch = _pooled(after[start : start + hold])
        first = after[start]
        if stretch.n and stretch.k >= limit * stretch.n and first.k >= limit * first.n:
            return Recovery("recovered", start, limit, last)
    if len(after) - calm_from < HOLD:
        why = "the run ended too soon after the demand had come down"
        return Recovery("unknown", None, limit, last, why)
    if clopper_pearson(last.k, last.n).high < limit:
        return Recovery("metastable", None, limit, last)
    return Recovery("unknown", None, limit, last, "the end of the run could be chance")


def _pooled(shares: Sequence[Share]) -> Share:
    return Share(sum(share.k for share in shares), sum(share.n for share in shares))
