"""Whether and when the shop recovered after the peak.

A shop is metastable when it handled some rate, was overloaded, and does not handle that rate again without
help: retries, full queues or cold caches keep it down. Goodput is the ratio of served to arriving customers,
by time of arrival: unlike a count of completions it does not vary with the number of arrivals, and work for
customers who have left does not count.

Rules of this module:
- Recovered: `HOLD` consecutive windows, pooled, have at least 95 % of the baseline's goodput.
- Metastable: the demand was back down for `HOLD` windows, and the exact 95 % interval of the last ones lies
  below that. While the shop may still be working through its backlog, the result is "unknown".

Source: Bronson et al. (2021), "Metastable failures in distributed systems", HotOS, and Huang et al. (2022),
OSDI (goodput after the trigger as the criterion); the ten windows are a choice of this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from doorbuster.stats.outage import SuccessCount
from doorbuster.stats.proportion import clopper_pearson

KEPT_RATIO = 0.95
HOLD = 10
MIN_CUSTOMERS = 20

Course = Literal["held", "recovered", "metastable", "unknown"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Goodput after the peak.

    `windows` is the number of windows from the end of the peak to the recovery; None when the shop did not
    recover or it is unknown. `limit_ratio` is the required goodput, `last` that of the last windows.
    """

    course: Course
    windows: int | None
    limit_ratio: float
    last: SuccessCount
    why: str = ""


def recover(
    peak: SuccessCount, after: Sequence[SuccessCount], *, baseline_ratio: float, calm_from: int = 0
) -> Recovery:
    """Decides whether goodput recovered.

    Args:
        peak: customers of the peak; after: those of each window after it, in order of time.
        baseline_ratio: goodput before the peak, 0..1; 1 when the run has no baseline.
        calm_from: the window of `after` in which the demand returned to the baseline's level.
    """
    limit = KEPT_RATIO * baseline_ratio
    hold = min(HOLD, len(after))
    last = _pooled(after[len(after) - hold :])
    if not peak.n:
        return Recovery("unknown", None, limit, last, "no customers came at the peak")
    everyone = _pooled([peak, *after])
    if peak.k >= limit * peak.n and (not after or everyone.k >= limit * everyone.n):
        return Recovery("held", 0, limit, last)
    if last.n < MIN_CUSTOMERS:
        why = f"only {last.n} customers came at the end; at least {MIN_CUSTOMERS} are needed"
        return Recovery("unknown", None, limit, last, why)
    for start in range(len(after) - hold + 1):
        stretch = _pooled(after[start : start + hold])
        first = after[start]
        if stretch.n and stretch.k >= limit * stretch.n and first.k >= limit * first.n:
            return Recovery("recovered", start, limit, last)
    if len(after) - calm_from < HOLD:
        why = "the run ended too soon after the demand fell"
        return Recovery("unknown", None, limit, last, why)
    if clopper_pearson(last.k, last.n).high < limit:
        return Recovery("metastable", None, limit, last)
    return Recovery("unknown", None, limit, last, "the difference at the end of the run may be chance")


def _pooled(shares: Sequence[SuccessCount]) -> SuccessCount:
    return SuccessCount(sum(share.k for share in shares), sum(share.n for share in shares))
