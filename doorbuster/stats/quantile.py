"""Latency quantiles with distribution-free intervals; no bound where the sample is too small for one.

Rules of this module:
- A bound is a recorded value (an order statistic), never an extrapolation. An unknown bound is None.
- The values must be independent; for those of a load test see latency_quantiles.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from doorbuster.records.histogram import Histogram
from doorbuster.stats.design_effect import CONFIDENCE


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """The p-quantile of n latencies and the interval low..high, in us.

    `value_us` is None without latencies. A bound is None when there are too few latencies to show it. A lower
    bound may stand alone: it can prove "too slow" but never "fast enough".
    """

    p: float
    value_us: int | None
    low_us: int | None
    high_us: int | None
    n: int


@dataclass(frozen=True, slots=True)
class Ranks:
    """Order statistics that enclose a quantile: from the `low`-th to the `high`-th smallest of n values.

    None when there is no such value.
    """

    low: int | None
    high: int | None


def minimum_n(p: float, *, confidence: float = CONFIDENCE) -> int:
    """Fewest independent values whose maximum bounds the p-quantile from above: 1 - p^n >= confidence."""
    _check_share(p)
    return math.ceil(math.log(1 - confidence) / math.log(p))


def order_statistic_ranks(p: float, n: int, *, confidence: float = CONFIDENCE) -> Ranks:
    """Ranks of the order statistics that enclose the p-quantile of n independent values.

    P(X_(r) <= q_p < X_(s)) = sum over k = r .. s-1 of C(n,k) p^k (1-p)^(n-k)
    r is the alpha/2 quantile of the binomial distribution (n, p), s its 1 - alpha/2 quantile plus 1.
    Where no s-th value exists but the maximum is an upper bound, r uses the rest of alpha, alpha - p^n.

    Source: David and Nagaraja (2003), "Order Statistics", 3rd edition, section 7.1.
    """
    _check_share(p)
    if n == 0:
        return Ranks(None, None)
    alpha = 1 - confidence
    low = _binomial_quantile(alpha / 2, n, p)
    high: int | None = _binomial_quantile(1 - alpha / 2, n, p) + 1
    if high is not None and high > n:
        beyond = p**n
        high = n if beyond <= alpha else None
        if high is not None:
            low = _binomial_quantile(alpha - beyond, n, p)
    return Ranks(low or None, high)


def quantile_estimate(
    histogram: Histogram, p: float, *, worth: float | None = None, confidence: float = CONFIDENCE
) -> QuantileEstimate:
    """The p-quantile (p in 0..1, both excluded) of independent latencies, with its interval.

    The value follows Java's rank rule, ceil(p n); bounds are exact for the bins, so within 0.1 %.

    Args: worth: the effective number of independent latencies, at least one; None when all are independent.
    """
    n = histogram.n
    independent = math.floor(n if worth is None else worth)
    ranks = order_statistic_ranks(p, independent, confidence=confidence)
    scale = n / independent if n else 0.0  # from ranks among the independent values to ranks among all
    low = None if ranks.low is None else math.floor((ranks.low - 1) * scale) + 1
    high = None if ranks.high is None else min(n, math.ceil(ranks.high * scale))
    return QuantileEstimate(
        p=p,
        value_us=histogram.quantile_us(p),
        low_us=None if low is None else histogram.value_at_rank_us(low),
        high_us=None if high is None else histogram.value_at_rank_us(high),
        n=n,
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


def _check_share(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile must be a ratio between 0 and 1 (got {p})")
