"""When a service broke: stretches of time whose success rate is too low to be chance.

Rules of this module:
- A window in which nobody tried belongs to the stretch around it.
- A few unlucky customers are no outage: the exact 95 % interval of the whole stretch must lie below the
  limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.stats.proportion import clopper_pearson


@dataclass(frozen=True, slots=True)
class Share:
    """`k` successes of `n` tries."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of windows in which the service did not work: from the first to before the `end`-th."""

    first: int
    end: int
    share: Share


def find_outages(windows: Sequence[Share], *, below: float) -> tuple[Outage, ...]:
    """Every stretch of windows with a success rate below `below` (0..1), in order of time."""
    outages: list[Outage] = []
    first: int | None = None
    end = 0
    for index, share in enumerate((*windows, Share(1, 1))):
        if share.n and share.k < below * share.n:
            first = index if first is None else first
            end = index + 1
        elif share.n and first is not None:
            stretch = windows[first:end]
            pooled = Share(sum(part.k for part in stretch), sum(part.n for part in stretch))
            if clopper_pearson(pooled.k, pooled.n).high < below:
                outages.append(Outage(first, end, pooled))
            first = None
    return tuple(outages)
