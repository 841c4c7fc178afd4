"""Response-time percentiles of a load test, where customers leave early and requests are correlated.

Rules of this module:
- The time of an abandoned request is a lower bound (Kaplan and Meier). When too many were abandoned, only "at
  least" is known.
- The interval widens with the scatter between time blocks beyond chance. The scatter is measured between
  adjacent blocks, so that a planned change such as a ramp does not count.
- A quantile with too few requests has no value, only a reason.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import BINS, Histogram, Ints, bin_index
from doorbuster.records.outcome import RequestOutcome
from doorbuster.stats.censored import CensoredEstimate, SurvivalCurve, censored_quantile, survival_curve
from doorbuster.stats.design_effect import MIN_BLOCKS, planned_effective_n
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count

MAX_TIME_BLOCKS = 30
Floats = NDArray[np.float64]
K = TypeVar("K", bound=Hashable)
_NOTHING = Histogram.empty()


@dataclass(frozen=True, slots=True, eq=False)
class TimeBlock:
    """Times of the requests due in one block of time; those of abandoned ones end when the customer left."""

    answered: Histogram
    abandoned: Histogram


@dataclass(frozen=True, slots=True)
class LatencyQuantile:
    """The p-quantile in us with its 95 % interval low..high.

    `value_us` is None when there are too few requests; `reason` then states how many are needed.
    `at_least`: too many were abandoned, only a lower bound is known. `effective_n` is the number of
    independent requests that would be as informative.
    """

    p: float
    value_us: float | None
    low_us: float | None
    high_us: float | None
    n: int
    abandoned: int
    at_least: bool
    effective_n: float
    reason: str = ""


def latency_quantiles(
    time_blocks: Sequence[TimeBlock], shares: Sequence[float]
) -> tuple[LatencyQuantile, ...]:
    """Quantiles of all requests in the time blocks, one for each p in `shares`.

    Args:
        time_blocks: of equal length, in order, without gaps; at least ten for an interval. More than
            `MAX_TIME_BLOCKS` are joined, so that each is much longer than the queue's memory.
        shares: in 0..1, both excluded.
    """
    pool = _Pool.of(time_blocks)
    return tuple(_quantile(pool, p) for p in shares)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """The requests of all time blocks, pooled and per block.

    cells: time block * BINS + bin of its answers, ascending; up_to: answers before each cell, and the total.
    block: the joined block of each time block; total: requests of each joined block.
    """

    answered: Histogram
    abandoned: Histogram
    cells: Ints
    up_to: Ints
    block: Ints
    total: Floats
    curve: SurvivalCurve | None

    @classmethod
    def of(cls, time_blocks: Sequence[TimeBlock]) -> _Pool:
        blocks = min(MAX_TIME_BLOCKS, len(time_blocks))
        block = np.arange(len(time_blocks)) * blocks // max(1, len(time_blocks))
        answered = Histogram.empty().merge(*(time_block.answered for time_block in time_blocks))
        abandoned = Histogram.empty().merge(*(time_block.abandoned for time_block in time_blocks))
        cells = [time_block.answered.bins + at * BINS for at, time_block in enumerate(time_blocks)]
        counts = [time_block.answered.bin_counts for time_block in time_blocks]
        total = [time_block.answered.n + time_block.abandoned.n for time_block in time_blocks]
        return cls(
            answered,
            abandoned,
            np.concatenate(cells or [_NOTHING.bins]),
            np.cumsum(np.concatenate([[0], *counts])),
            block,
            np.bincount(block, weights=total, minlength=blocks).astype(np.float64),
            survival_curve(answered, abandoned) if abandoned.n else None,
        )

    def answered_within(self, limit: int) -> Floats:
        """Answers of each block in bins up to this one."""
        offset = np.arange(self.block.size) * BINS
        found = self.up_to[np.searchsorted(self.cells, [offset, offset + limit + 1])]
        return np.bincount(self.block, weights=found[1] - found[0], minlength=self.total.size).astype(
            np.float64
        )

    @property
    def n(self) -> int:
        return self.answered.n + self.abandoned.n

    def value(self, p: float) -> CensoredEstimate:
        """The p-quantile; its limits treat requests as independent and are not used."""
        if self.curve is not None:
            return censored_quantile(self.curve, p)
        return CensoredEstimate(self.answered.quantile_us(p), None, None, self.n, 0, at_least=False)


def _quantile(pool: _Pool, p: float) -> LatencyQuantile:
    n, abandoned = pool.n, pool.abandoned.n
    needed = minimum_n(p)
    if n < needed:
        reason = f"needs {format_count(needed)} requests, there were {format_count(n)}"
        return LatencyQuantile(p, None, None, None, n, abandoned, False, 0.0, reason)
    found = pool.value(p)
    assert found.value_us is not None, "there are requests"
    value_us, at_least = float(found.value_us), found.at_least
    independent = _independent(pool, value_us)
    if independent is None:
        reason = f"an interval needs requests in {MIN_BLOCKS} blocks of time"
        return LatencyQuantile(p, value_us, None, None, n, abandoned, at_least, 0.0, reason)
    if pool.curve is not None:
        past = censored_quantile(pool.curve.widened(n / independent), p)
        low_us, high_us = past.low_us, past.high_us
    else:
        bounds = quantile_estimate(pool.answered, p, worth=independent)
        low_us, high_us = bounds.low_us, bounds.high_us
    reason = "" if high_us is not None or at_least else "too few independent requests for an upper end"
    return LatencyQuantile(p, value_us, low_us, high_us, n, abandoned, at_least, independent, reason)


def _independent(pool: _Pool, value_us: float) -> float | None:
    """Effective number of requests; None when too few time blocks have requests."""
    if int(np.count_nonzero(pool.total)) < MIN_BLOCKS:
        return None
    limit = int(bin_index([round(value_us)])[0])
    top = int(pool.answered.bins[-1]) if pool.answered.bins.size else 0
    if limit >= top:
        limit = top - 1  # all values are up to the maximum, so it would show no scatter
    return planned_effective_n(pool.answered_within(limit), pool.total)


def time_blocks_by(
    found: Mapping[tuple[tuple[K, str], int], Histogram], buckets: range
) -> dict[K, list[TimeBlock]]:
    """Time blocks by group, from `run.histograms_by(lambda s: (group, s.outcome), kind, bucket_s)`.

    Args: buckets: in order; a bucket without requests is an empty time block. Failed requests are left out.
    """
    names = dict.fromkeys(name for (name, outcome), _ in found if outcome != RequestOutcome.FAILED)
    return {
        name: [
            TimeBlock(
                found.get(((name, RequestOutcome.OK), at), _NOTHING),
                found.get(((name, RequestOutcome.ABANDONED), at), _NOTHING),
            )
            for at in buckets
        ]
        for name in names
    }
