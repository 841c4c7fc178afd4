"""Compares generated load with the scenario: shares of a mix, scatter of counts, ratios, averages.

Rules of this module:
- A comparison has the specified value (`expected`), the observed one, a 95 % interval and a verdict.
  `mismatch`: the specified value lies outside the 99.9 % interval; a report has dozens of comparisons,
  and one in twenty 95 % intervals misses by chance. `inconclusive`: the specified value lies
  outside the 95 % interval only, or this interval extends further than WIDEST_RATIO of it to a side.
- Differences below SMALLEST_RATIO of the specified value are ignored: histogram bins are 0.1 % wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import Histogram, highest_us, lowest_us
from doorbuster.stats.design_effect import CONFIDENCE, MIN_BLOCKS
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.stats.quantile import minimum_n, order_statistic_ranks

Agreement = Literal["match", "mismatch", "inconclusive"]
SURE = 0.999
WIDEST_RATIO = 0.25
SMALLEST_RATIO = 0.001

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A specified and an observed value with its 95 % interval, and the verdict."""

    expected: float
    observed: float | None
    low: float | None
    high: float | None
    n: int
    verdict: Agreement


@dataclass(frozen=True, slots=True)
class Mix:
    """Observed against specified shares; `p_value` is for all of them together."""

    parts: tuple[Comparison, ...]
    statistic: float
    p_value: float | None
    verdict: Agreement


def compare_mix(counts: Sequence[int], specified: Sequence[float]) -> Mix:
    """Compares counts with specified shares: Pearson's chi-square test, and an interval per share.

    X^2 = sum (n_i - N p_i)^2 / (N p_i), chi-square distributed with k - 1 degrees of freedom if every N p_i
    is at least 5; otherwise the verdict is `inconclusive`.
    The intervals are Clopper and Pearson's at 1 - 0.05/k each, so that all k hold jointly (Bonferroni).

    Args: counts, specified: shape (k,), k >= 1; specified sums to 1.
    Source: Pearson (1900), Philosophical Magazine 50; Cochran (1954), Biometrics 10, section 2 (the rule of
        five); Goodman (1965), Technometrics 7 (simultaneous intervals for multinomial shares).
    """
    from scipy.special import chdtrc

    n, k = sum(counts), len(counts)
    expected = n * np.asarray(specified, np.float64)
    parts = []
    for count, share in zip(counts, specified, strict=True):
        narrow = clopper_pearson(count, n, confidence=1 - (1 - CONFIDENCE) / k)
        sure = clopper_pearson(count, n, confidence=1 - (1 - SURE) / k)
        verdict = _verdict(share, (narrow.low, narrow.high), (sure.low, sure.high))
        parts.append(Comparison(share, narrow.ratio, narrow.low, narrow.high, n, verdict))
    if n == 0 or (k > 1 and expected.min() < 5):
        return Mix(tuple(parts), 0.0, None, "inconclusive")
    statistic = float(((np.asarray(counts) - expected) ** 2 / expected).sum())
    p_value = float(chdtrc(k - 1, statistic)) if k > 1 else 1.0
    return Mix(tuple(parts), statistic, p_value, "match" if p_value >= 1 - SURE else "mismatch")


def compare_total(total: int, expected: float, index: float) -> Comparison:
    """Compares a number of arrivals with its mean; the variance is index * mean (normal approximation).

    Source: Cox and Lewis (1966), "The Statistical Analysis of Series of Events" (index of dispersion: the
        variance of a count divided by its mean).
    """
    from scipy.special import ndtri

    spread = math.sqrt(index * max(expected, 0.0))
    inner, outer = (float(ndtri((1 + level) / 2)) * spread for level in (CONFIDENCE, SURE))
    verdict = _verdict(expected, (total - inner, total + inner), (total - outer, total + outer))
    return Comparison(expected, float(total), max(0.0, total - inner), total + inner, total, verdict)


def compare_curve(counts: Sequence[int] | Floats, expected: Sequence[float] | Floats, index: float) -> Mix:
    """Compares counts per window with a curve: X^2 = sum (n_t - m_t)^2 / (I m_t) with as many degrees of
    freedom as windows, I the specified index of dispersion; windows should expect 10 or more.

    Source: Cochran (1954), Biometrics 10, section 2, with the variance of counts scaled by I.
    """
    from scipy.special import chdtrc

    n, m = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    used = m > 0
    if not used.any() or float(m[used].min()) < 5:
        return Mix((), 0.0, None, "inconclusive")
    statistic = float(((n[used] - m[used]) ** 2 / (index * m[used])).sum())
    p_value = float(chdtrc(int(used.sum()), statistic))
    if n[~used].any():
        p_value = 0.0
    return Mix((), statistic, p_value, "match" if p_value >= 1 - SURE else "mismatch")


def compare_dispersion(
    counts: Sequence[int] | Floats, expected: Sequence[float] | Floats, specified: float
) -> Comparison:
    """Compares the index of dispersion of counts around a known curve with the specified one.

    D = (1/T) sum (n_t - m_t)^2 / m_t. If n_t is Poisson with a gamma factor (negative binomial) of mean m_t
    and variance I m_t, the mean of D is I and, with the excess kurtosis of n_t

        g_t = 6 (I - 1) / m_t + 1 / (I m_t),   Var D = I^2 / T^2 * sum (2 + g_t),

    so nu D / I is about chi-square with nu = 2 T^2 / sum (2 + g_t) degrees of freedom (same mean, same
    variance); for large Poisson counts nu = T, the classical dispersion test.

    Args: counts, expected: shape (T,), whole seconds or whole numbers of them; expected above 0.
    Source: Fisher (1950), Biometrics 6 (dispersion test); Satterthwaite (1946), Biometrics Bulletin 2
        (degrees of freedom by two moments); Johnson, Kemp and Kotz (2005), "Univariate Discrete
        Distributions", 3rd edition, chapter 5 (moments of the negative binomial).
    """
    from scipy.special import chdtri

    n, m = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    if not n.size:
        return Comparison(specified, None, None, None, 0, "inconclusive")
    observed = float(((n - m) ** 2 / m).mean())
    freedom = 2 * n.size**2 / float((2 + 6 * (specified - 1) / m + 1 / (specified * m)).sum())

    def bounds(level: float) -> tuple[float, float]:
        tail = (1 - level) / 2
        high, low = (observed * freedom / float(chdtri(freedom, p)) for p in (1 - tail, tail))
        return low, high

    low, high = bounds(CONFIDENCE)
    return Comparison(specified, observed, low, high, n.size, _verdict(specified, (low, high), bounds(SURE)))


def compare_ratio(
    numerators: Sequence[int] | Floats, denominators: Sequence[int] | Floats, specified: float
) -> Comparison:
    """Compares the ratio of two counts per time block, such as orders per product view.

    r = sum a_b / sum v_b,   Var r = B/(B-1) * sum (a_b - r v_b)^2 / (sum v_b)^2,   Student's t with B - 1

    Args: numerators, denominators: shape (B,); blocks without either are left out; at least 10 must remain.
    Source: Cochran (1977), "Sampling Techniques", 3rd edition, chapter 6 (ratio estimators).
    """
    from scipy.special import stdtrit

    a, v = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    used = (a > 0) | (v > 0)
    a, v = a[used], v[used]
    n, blocks = int(v.sum()), a.size
    if n == 0:
        return Comparison(specified, None, None, None, 0, "inconclusive")
    ratio = float(a.sum() / v.sum())
    if blocks < MIN_BLOCKS:
        return Comparison(specified, ratio, None, None, n, "inconclusive")
    error = math.sqrt(blocks / (blocks - 1) * float(((a - ratio * v) ** 2).sum())) / n
    inner, outer = (float(stdtrit(blocks - 1, (1 + level) / 2)) * error for level in (CONFIDENCE, SURE))
    verdict = _verdict(specified, (ratio - inner, ratio + inner), (ratio - outer, ratio + outer))
    return Comparison(specified, ratio, max(0.0, ratio - inner), ratio + inner, n, verdict)


def compare_normal(specified: float, observed: float, error: float, n: int) -> Comparison:
    """Compares an estimate that is about normal with this standard error; `n` observations made it.

    Below 30 observations, or without an error, the verdict is `inconclusive`.
    """
    from scipy.special import ndtri

    if n < 30 or not error > 0:
        return Comparison(specified, observed, None, None, n, "inconclusive")
    inner, outer = (float(ndtri((1 + level) / 2)) * error for level in (CONFIDENCE, SURE))
    verdict = _verdict(specified, (observed - inner, observed + inner), (observed - outer, observed + outer))
    return Comparison(specified, observed, observed - inner, observed + inner, n, verdict)


def compare_share(count: int, n: int, specified: float) -> Comparison:
    """Compares a share of n independent cases (Clopper and Pearson)."""
    narrow, sure = (clopper_pearson(count, n, confidence=level) for level in (CONFIDENCE, SURE))
    verdict = _verdict(specified, (narrow.low, narrow.high), (sure.low, sure.high)) if n else "inconclusive"
    return Comparison(specified, narrow.ratio, narrow.low, narrow.high, n, verdict)


def compare_median(values: Floats, specified: float) -> Comparison:
    """Compares the median of independent values, by order statistics; inconclusive below 30 of them.

    Source: David and Nagaraja (2003), "Order Statistics", 3rd edition, section 7.1.
    """
    ordered, n = np.sort(values), values.size
    if n < max(minimum_n(0.5, confidence=SURE), 30):
        return Comparison(specified, float(np.median(values)) if n else None, None, None, n, "inconclusive")

    def bounds(level: float) -> tuple[float, float]:
        ranks = order_statistic_ranks(0.5, n, confidence=level)
        return float(ordered[(ranks.low or 1) - 1]), float(ordered[(ranks.high or n) - 1])

    low, high = bounds(CONFIDENCE)
    verdict = _verdict(specified, (low, high), bounds(SURE))
    return Comparison(specified, float(np.median(ordered)), low, high, n, verdict)


def compare_mean_us(found: Histogram, specified_us: float) -> Comparison:
    """Compares the mean of independent times, by the central limit theorem: mean -+ z sd / sqrt(n).

    Source: Wasserman (2004), "All of Statistics", theorem 5.10. Below 30 times the verdict is `inconclusive`.
    """
    from scipy.special import ndtri

    mean, sd, n = found.mean_us, found.sd_us, found.n
    if mean is None or sd is None or n < 30:
        return Comparison(specified_us, mean, None, None, n, "inconclusive")
    error = sd / math.sqrt(n - 1)
    inner, outer = (float(ndtri((1 + level) / 2)) * error for level in (CONFIDENCE, SURE))
    verdict = _verdict(specified_us, (mean - inner, mean + inner), (mean - outer, mean + outer))
    return Comparison(specified_us, mean, mean - inner, mean + inner, n, verdict)


def compare_median_us(found: Histogram, specified_us: float) -> Comparison:
    """Compares the median of independent times, by order statistics widened to the edges of their bins.

    Source: David and Nagaraja (2003), "Order Statistics", 3rd edition, section 7.1.
    """
    n = found.n
    if n < max(minimum_n(0.5, confidence=SURE), 30):
        value = found.quantile_us(0.5)
        return Comparison(
            specified_us, None if value is None else float(value), None, None, n, "inconclusive"
        )

    def bounds(level: float) -> tuple[float, float]:
        ranks = order_statistic_ranks(0.5, n, confidence=level)
        ends = np.searchsorted(np.cumsum(found.bin_counts), [ranks.low or 1, ranks.high or n])
        low, high = found.bins[ends]
        return float(lowest_us([low])[0]), float(highest_us([high])[0])

    low, high = bounds(CONFIDENCE)
    verdict = _verdict(specified_us, (low, high), bounds(SURE))
    return Comparison(specified_us, float(found.quantile_us(0.5) or 0), low, high, n, verdict)


def overall(verdicts: Sequence[Agreement]) -> Agreement:
    """The verdict on several: `mismatch` if one is, `inconclusive` if all are."""
    if "mismatch" in verdicts:
        return "mismatch"
    return "match" if "match" in verdicts else "inconclusive"


def _verdict(specified: float, inner: tuple[float, float], outer: tuple[float, float]) -> Agreement:
    least = SMALLEST_RATIO * abs(specified)
    if not outer[0] - least <= specified <= outer[1] + least:
        return "mismatch"
    half = (inner[1] - inner[0]) / 2
    within = inner[0] - least <= specified <= inner[1] + least
    return "match" if within and half <= WIDEST_RATIO * abs(specified) else "inconclusive"
