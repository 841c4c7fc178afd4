"""Outages: periods whose success rate is too low to be chance.

Rules of this module:
- A window without attempts belongs to the period around it.
- A few failures are not an outage: the exact 95 % interval of the whole period must lie below the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.stats.proportion import clopper_pearson


@dataclass(frozen=True, slots=True)
class SuccessCount:
    """`k` successes of `n` attempts."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Outage:
    """The windows of an outage: from `first` up to, not including, `end`."""

    first: int
    end: int
    share: SuccessCount


def find_outages(windows: Sequence[SuccessCount], *, below: float) -> tuple[Outage, ...]:
    """All outages with a success rate below `below` (0..1), in order of time."""
    outages: list[Outage] = []
    first: int | None = None
    end = 0
    for index, share in enumerate((*windows, SuccessCount(1, 1))):
        if share.n and share.k < below * share.n:
            first = index if first is None else first
            end = index + 1
        elif share.n and first is not None:
            stretch = windows[first:end]
            pooled = SuccessCount(sum(part.k for part in stretch), sum(part.n for part in stretch))
            if clopper_pearson(pooled.k, pooled.n).high < below:
                outages.append(Outage(first, end, pooled))
            first = None
    return tuple(outages)
