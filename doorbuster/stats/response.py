"""Percentiles of response time as a load test sees them: customers leave early, neighbours fare alike, the
load follows a plan.

Rules of this module:
- A request that was given up is a lower bound: quantiles look past it (Kaplan and Meier). Where too many were
  given up, only "at least" is known.
- The interval is widened by how much stretches of time differ beyond chance. A change that the plan makes (a
  ramp) is no such scatter: it is measured between neighbouring stretches, and drops out.
- Below the sample that a quantile needs there is no value, only the reason.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import Histogram, bin_index
from doorbuster.stats.blocks import FEWEST_BLOCKS, planned_effective_n
from doorbuster.stats.censored import censored_quantile, survival_curve
from doorbuster.stats.proportion import CONFIDENCE
from doorbuster.stats.quantile import minimum_n, order_statistic_ranks
from doorbuster.units import format_count

MOST_STRETCHES = 30
Floats = NDArray[np.float64]
K = TypeVar("K", bound=Hashable)
_NOTHING = Histogram.empty()


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """The requests due in one stretch of time: those answered, and those given up at the time of leaving."""

    answered: Histogram
    given_up: Histogram


@dataclass(frozen=True, slots=True)
class ResponseQuantile:
    """The p-quantile in us with its 95 % interval low..high.

    `value_us` is None when this many requests cannot show it; `reason` then says how many are needed.
    `at_least`: so many were given up that only a lower bound is known. `effective_n` is the number of
    independent requests that would be as informative.
    """

    p: float
    value_us: float | None
    low_us: float | None
    high_us: float | None
    n: int
    given_up: int
    at_least: bool
    effective_n: float
    reason: str = ""


def response_quantiles(
    stretches: Sequence[Stretch], shares: Sequence[float], *, confidence: float = CONFIDENCE
) -> tuple[ResponseQuantile, ...]:
    """Quantiles of everything in the stretches together, one for each share.

    Args:
        stretches: equal lengths of time, in order, without gaps; ten at least for an interval. More than
            `MOST_STRETCHES` are joined, so that each is long against the memory of the queue.
        shares: in 0..1, both excluded.
    """
    answered = Histogram.empty().merge(*(stretch.answered for stretch in stretches))
    given_up = Histogram.empty().merge(*(stretch.given_up for stretch in stretches))
    return tuple(_quantile(stretches, answered, given_up, p, confidence) for p in shares)


def _quantile(
    stretches: Sequence[Stretch], answered: Histogram, given_up: Histogram, p: float, confidence: float
) -> ResponseQuantile:
    n = answered.n + given_up.n
    needed = minimum_n(p, confidence=confidence)
    if n < needed:
        reason = f"needs {format_count(needed)} requests, there were {format_count(n)}"
        return ResponseQuantile(p, None, None, None, n, given_up.n, False, 0.0, reason)
    value_us, at_least = _value(answered, given_up, p)
    independent = _independent(stretches, value_us, confidence)
    if independent is None:
        reason = f"an interval needs requests in {FEWEST_BLOCKS} stretches of time"
        return ResponseQuantile(p, value_us, None, None, n, given_up.n, at_least, 0.0, reason)
    if given_up.n:
        curve = survival_curve(answered, given_up, widening=n / independent)
        past = censored_quantile(curve, p)
        low_us, high_us = past.low_us, past.high_us
    else:
        low_us, high_us = _bounds(answered, p, independent, confidence)
    reason = "" if high_us is not None or at_least else "too few independent requests for an upper end"
    return ResponseQuantile(p, value_us, low_us, high_us, n, given_up.n, at_least, independent, reason)


def _value(answered: Histogram, given_up: Histogram, p: float) -> tuple[float, bool]:
    if not given_up.n:
        exact = answered.quantile_us(p)
        assert exact is not None, "there are requests"
        return float(exact), False
    found = censored_quantile(survival_curve(answered, given_up), p)
    assert found.value_us is not None, "there are requests"
    return found.value_us, found.at_least


def _independent(stretches: Sequence[Stretch], value_us: float, confidence: float) -> float | None:
    """Independent requests that all are worth; None with requests in too few stretches to tell."""
    blocks = min(MOST_STRETCHES, len(stretches))
    place = np.arange(len(stretches)) * blocks // max(1, len(stretches))
    limit = int(bin_index([round(value_us)])[0])
    top = max((int(s.answered.bins[-1]) for s in stretches if s.answered.bins.size), default=0)
    if limit >= top:
        limit = top - 1  # everything is up to the maximum in every stretch, which tells nothing
    k, total = np.zeros(blocks), np.zeros(blocks)
    np.add.at(k, place, [int(s.answered.bin_counts[s.answered.bins <= limit].sum()) for s in stretches])
    np.add.at(total, place, [s.answered.n + s.given_up.n for s in stretches])
    used = int(np.count_nonzero(total))
    if used < FEWEST_BLOCKS:
        return None
    return planned_effective_n(k, total, confidence=confidence)


def _bounds(answered: Histogram, p: float, independent: float, confidence: float) -> list[float | None]:
    """Order statistics of `independent` values, scaled outwards to the values there are."""
    whole = max(1, math.floor(independent))
    ranks = order_statistic_ranks(p, whole, confidence=confidence)
    scale, n = answered.n / whole, answered.n
    low = None if ranks.low is None else answered.value_at_rank_us(math.floor((ranks.low - 1) * scale) + 1)
    high = None if ranks.high is None else answered.value_at_rank_us(min(n, math.ceil(ranks.high * scale)))
    return [None if low is None else float(low), None if high is None else float(high)]


def stretches_by(
    found: Mapping[tuple[tuple[K, str], int], Histogram], buckets: range
) -> dict[K, list[Stretch]]:
    """What `run.histograms_by(lambda s: (group, s.outcome), kind, bucket_s)` gives, as stretches by group.

    Args: buckets: which of them, in order; a bucket without requests is an empty stretch. Failed requests
        are left out: they are neither answers nor patience.
    """
    names = dict.fromkeys(name for (name, outcome), _ in found if outcome != "failed")
    return {
        name: [
            Stretch(found.get(((name, "ok"), at), _NOTHING), found.get(((name, "abandoned"), at), _NOTHING))
            for at in buckets
        ]
        for name in names
    }
