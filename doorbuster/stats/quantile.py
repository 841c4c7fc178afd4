"""Latency quantiles with distribution-free intervals, and the refusal to state what a sample cannot show.

Rules of this module:
- A bound is a recorded value (an order statistic), never an extrapolation. No bound is None, with a reason.
- `quantile_estimate` is for independent values; `quantile_over_seconds` for what a load test records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from doorbuster.records.histogram import Histogram, bin_index
from doorbuster.stats.design_effect import BLOCKS, FEWEST_BLOCKS, design_effect, effective_n
from doorbuster.stats.proportion import CONFIDENCE
from doorbuster.units import format_count, format_ratio


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """The p-quantile of n latencies and the interval low..high, in us.

    `value_us` is None without latencies. A bound is None when this many latencies cannot show it; then
    `reason` says how many are needed. A lower bound may stand alone: it can prove "too slow" but never
    "fast enough". `effective_n` is the number of independent latencies that would be as informative.
    """

    p: float
    value_us: int | None
    low_us: int | None
    high_us: int | None
    n: int
    effective_n: float
    confidence: float
    reason: str = ""

    @property
    def refused(self) -> bool:
        """Too few latencies to say how high the quantile may be."""
        return self.high_us is None


@dataclass(frozen=True, slots=True)
class Ranks:
    """Order statistics that enclose a quantile: from the `low`-th to the `high`-th smallest of n values.

    None when there is no such value; `coverage` is the probability that they enclose it.
    """

    low: int | None
    high: int | None
    coverage: float


def minimum_n(p: float, *, confidence: float = CONFIDENCE) -> int:
    """Fewest independent values whose maximum bounds the p-quantile from above: 1 - p^n >= confidence."""
    _check_share(p)
    return math.ceil(math.log(1 - confidence) / math.log(p))


def order_statistic_ranks(p: float, n: int, *, confidence: float = CONFIDENCE) -> Ranks:
    """Ranks of the order statistics that enclose the p-quantile of n independent values.

    P(X_(r) <= q_p < X_(s)) = sum over k = r .. s-1 of C(n,k) p^k (1-p)^(n-k)
    r is the alpha/2 quantile of the binomial distribution (n, p), s its 1 - alpha/2 quantile plus 1.
    Where no s-th value exists but the maximum still is an upper bound, r gets what p^n leaves of alpha.

    Source: David and Nagaraja (2003), "Order Statistics", 3rd edition, section 7.1.
    """
    from scipy.special import bdtr

    _check_share(p)
    if n == 0:
        return Ranks(None, None, 0.0)
    alpha = 1 - confidence
    low = _binomial_quantile(alpha / 2, n, p)
    high: int | None = _binomial_quantile(1 - alpha / 2, n, p) + 1
    if high is not None and high > n:
        beyond = p**n
        high = n if beyond <= alpha else None
        if high is not None:
            low = _binomial_quantile(alpha - beyond, n, p)
    below = float(bdtr(low - 1, n, p)) if low > 0 else 0.0
    above = 1 - float(bdtr(high - 1, n, p)) if high is not None else 0.0
    return Ranks(low or None, high, 1 - below - above)


def quantile_estimate(
    histogram: Histogram, p: float, *, worth: float | None = None, confidence: float = CONFIDENCE
) -> QuantileEstimate:
    """The p-quantile (p in 0..1, both excluded) of independent latencies, with its interval.

    The value follows Java's rank rule, ceil(p n); bounds are exact for the bins, so within 0.1 %. `worth` is
    given where the counts are weights: how many latencies of equal weight they are worth, at least one.
    """
    return _estimate(histogram, p, float(histogram.n) if worth is None else worth, confidence, "")


def quantile_over_seconds(
    by_second: Mapping[int, Histogram],
    p: float,
    *,
    confidence: float = CONFIDENCE,
    blocks: int = BLOCKS,
) -> QuantileEstimate:
    """The p-quantile of latencies of one run, with an interval that allows for their correlation.

    The seconds are joined into `blocks` stretches of equal length. How much the share of latencies up to
    the quantile differs between stretches gives the design effect, hence the number of independent
    latencies they are worth; the order statistics of that number, scaled to all latencies, are the bounds.
    A trend inside the run counts as scatter and widens the interval. The stretches must be long against
    the memory of the queue: at 80 % utilisation some hundred service times.

    Args:
        by_second: histograms by second, or by any other equal bucket of time; absent ones are empty.
        blocks: at least 10; fewer buckets of time than this are each a block.
    Source: Woodruff (1952), "Confidence intervals for medians and other position measures", JASA 47, with
        the effective sample size of Korn and Graubard (1998); blocks as in Schmeiser (1982).
    """
    if blocks < FEWEST_BLOCKS:
        raise ValueError(f"blocks must be at least {FEWEST_BLOCKS} (got {blocks})")
    whole = Histogram.empty().merge(*by_second.values())
    value_us = whole.quantile_us(p)
    _check_share(p)
    first = min(by_second, default=0)
    seconds = max(by_second, default=-1) - first + 1
    stretches = min(blocks, seconds)
    totals, up_to = np.zeros(stretches), np.zeros(stretches)
    if value_us is not None:
        place = [(second - first) * stretches // seconds for second in by_second]
        limit = int(bin_index([value_us])[0])
        if limit == whole.bins[-1]:
            limit -= 1  # everything is up to the maximum in every stretch, which tells nothing
        np.add.at(totals, place, [found.n for found in by_second.values()])
        np.add.at(up_to, place, [int(f.bin_counts[f.bins <= limit].sum()) for f in by_second.values()])
    used = int(np.count_nonzero(totals))
    if used < FEWEST_BLOCKS:
        reason = f"{_name(p)} needs latencies in at least {FEWEST_BLOCKS} stretches of time (got {used})"
        return QuantileEstimate(p, value_us, None, None, whole.n, 0.0, confidence, reason)
    independent = effective_n(whole.n, used, design_effect(up_to, totals), confidence=confidence)
    return _estimate(
        whole, p, independent, confidence, f", worth {format_count(math.floor(independent))} independent ones"
    )


def _estimate(
    histogram: Histogram, p: float, independent: float, confidence: float, worth: str
) -> QuantileEstimate:
    """Bounds from the ranks of `independent` values, scaled outwards to the values there are."""
    n = histogram.n
    ranks = order_statistic_ranks(p, math.floor(independent), confidence=confidence)
    scale = n / math.floor(independent) if n else 0.0
    low = None if ranks.low is None else math.floor((ranks.low - 1) * scale) + 1
    high = None if ranks.high is None else min(n, math.ceil(ranks.high * scale))
    reason = ""
    if high is None:
        needed = format_count(minimum_n(p, confidence=confidence))
        reason = (
            f"{_name(p)} needs at least {needed} independent latencies for an upper bound at"
            f" {format_ratio(confidence)} (got {format_count(n)}{worth})"
        )
    return QuantileEstimate(
        p=p,
        value_us=histogram.quantile_us(p),
        low_us=None if low is None else histogram.value_at_rank_us(low),
        high_us=None if high is None else histogram.value_at_rank_us(high),
        n=n,
        effective_n=independent,
        confidence=confidence,
        reason=reason,
    )


def _binomial_quantile(level: float, n: int, p: float) -> int:
    """Smallest k with P(K <= k) >= level, K binomial (n, p)."""
    from scipy.special import bdtr, bdtrik

    k = max(0, min(n, math.ceil(float(bdtrik(level, n, p)))))
    while k > 0 and float(bdtr(k - 1, n, p)) >= level:
        k -= 1
    while k < n and float(bdtr(k, n, p)) < level:
        k += 1
    return k


def _name(p: float) -> str:
    return f"p{p * 100:.10g}"


def _check_share(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile with bounds is asked for as a share between 0 and 1 (got {p})")
