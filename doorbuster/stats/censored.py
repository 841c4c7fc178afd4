"""Latency when some customers left before the response: the product-limit estimate on histogram bins.

A request abandoned at 4 s would have taken longer than 4 s; its time is a lower bound ("censored"). Counting
it as 4 s makes the shop look faster than it is, leaving it out even more so. The estimate assumes that
patience is independent of the shop, which holds because it is drawn beforehand; requests that share the
patience of one page weaken the assumption a little.

    S(t) = prod over t_i <= t of (1 - d_i / n_i)
    d_i  answered requests whose time falls into bin i
    n_i  requests neither answered nor abandoned before bin i

    var S(t) = S(t)^2 * sum of d_i / (n_i * (n_i - d_i))          (Greenwood)

Source: Kaplan and Meier (1958), Nonparametric estimation from incomplete observations, eq. 2b and 2f;
Brookmeyer and Crowley (1982), A confidence interval for the median survival time, with log(-log) limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import Histogram, highest_us, middle_us

_Z_95 = 1.959963984540054
_ROUNDING = 1e-12  # S is a product of floats; a quantile must not miss its rank by one bit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CensoredEstimate:
    """A statistic of response times in us; `at_least`: too many left, so only a lower bound is known.

    `low_us` or `high_us` is None when the data give no 95 % limit on that side.
    """

    value_us: float | None
    low_us: float | None
    high_us: float | None
    n: int
    censored: int
    at_least: bool


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalCurve:
    """S(t) at the upper edge of each occupied bin, with pointwise 95 % limits (nan where undefined)."""

    time_us: Floats
    middle_us: Floats
    survival: Floats
    low: Floats
    high: Floats
    events: Floats
    at_risk: Floats
    n: int
    censored: int

    def widened(self, widening: float) -> SurvivalCurve:
        """The same curve with its variance multiplied, as if `widening` requests counted as one."""
        limits = _limits(self.survival, self.events, self.at_risk, widening)
        return replace(self, low=limits.low, high=limits.high)


def survival_curve(answered: Histogram, abandoned: Histogram) -> SurvivalCurve:
    """The share of requests still unanswered at each time, with limits for independent requests.

    Args: answered: completed requests; abandoned: requests that the customer left, with the time until then.
    """
    bins = answered.merge(abandoned).bins
    events, lost = (part.counts[bins].astype(np.float64) for part in (answered, abandoned))
    total = answered.n + abandoned.n
    # Within a bin, responses come before abandonments, as usual for ties.
    at_risk: Floats = total - np.cumsum(events + lost) + events + lost
    survival = np.cumprod(1.0 - events / at_risk).astype(np.float64)
    limits = _limits(survival, events, at_risk, 1.0)
    return SurvivalCurve(
        time_us=highest_us(bins).astype(np.float64),
        middle_us=middle_us(bins).astype(np.float64),
        survival=survival,
        low=limits.low,
        high=limits.high,
        events=events,
        at_risk=at_risk,
        n=total,
        censored=abandoned.n,
    )


def censored_quantile(curve: SurvivalCurve, p: float) -> CensoredEstimate:
    """The p-quantile (p in 0..1) of the time to an answer, with a 95 % interval."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a quantile must be a ratio in 0..1, such as 0.99 (got {p})")
    if curve.n == 0:
        return CensoredEstimate(None, None, None, 0, 0, at_least=False)
    level = 1.0 - p + _ROUNDING
    value = _first_below(curve.time_us, curve.survival, level)
    low = _start_of_last_stretch_below(curve, level)
    high = _first_below(curve.time_us, curve.high, level)
    if value is None:
        largest = float(curve.time_us[-1])
        return CensoredEstimate(largest, low, None, curve.n, curve.censored, at_least=True)
    return CensoredEstimate(value, low, high, curve.n, curve.censored, at_least=False)


def censored_mean(curve: SurvivalCurve) -> CensoredEstimate:
    """The mean time to an answer, with a 95 % interval; "at least" when the longest times were abandoned.

    Mean = area under S up to the longest time seen. Its variance sums, over the bins, A_i^2 * d_i / (n_i *
    (n_i - d_i)) with A_i the area under S to the right of bin i.
    """
    if curve.n == 0:
        return CensoredEstimate(None, None, None, 0, 0, at_least=False)
    before = np.concatenate(([1.0], curve.survival[:-1]))
    areas = before * np.diff(np.concatenate(([0.0], curve.middle_us)))
    mean = float(areas.sum())
    unfinished = float(curve.survival[-1]) > _ROUNDING
    if curve.n == 1:
        return CensoredEstimate(mean, None, None, 1, curve.censored, at_least=unfinished)
    remaining = curve.at_risk - curve.events
    area_after = mean - np.cumsum(areas)
    terms = np.where(
        remaining > 0, area_after**2 * curve.events / (curve.at_risk * np.maximum(remaining, 1.0)), 0.0
    )
    half = _Z_95 * math.sqrt(float(terms.sum()))
    high = None if unfinished else mean + half
    return CensoredEstimate(mean, max(0.0, mean - half), high, curve.n, curve.censored, at_least=unfinished)


def _first_below(time_us: Floats, share: Floats, level: float) -> float | None:
    below = np.flatnonzero(share <= level)
    return float(time_us[below[0]]) if below.size else None


def _start_of_last_stretch_below(curve: SurvivalCurve, level: float) -> float | None:
    """Where the lower limit falls below the level to stay there.

    Not the first time it does: before the first few responses, log(-log) limits of a widened curve span 0 to
    1, and every quantile would start at the fastest response.
    """
    above = np.flatnonzero(curve.low > level)
    start = int(above[-1]) + 1 if above.size else 0
    return float(curve.time_us[start]) if start < curve.time_us.size else None


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    low: Floats
    high: Floats


def _limits(survival: Floats, events: Floats, at_risk: Floats, widening: float) -> _Limits:
    """Pointwise limits S ** exp(-+ z * se), se from Greenwood's sum on the log(-log) scale."""
    remaining = at_risk - events
    terms = np.where(remaining > 0, events / (at_risk * np.maximum(remaining, 1.0)), 0.0)
    greenwood = widening * np.cumsum(terms)
    open_part = (survival > _ROUNDING) & (survival < 1.0)
    log_survival = np.log(np.where(open_part, survival, 0.5))
    spread = np.exp(_Z_95 * np.sqrt(greenwood) / np.abs(log_survival))
    low = np.where(open_part, np.exp(log_survival * spread), survival)
    high = np.where(open_part, np.exp(log_survival / spread), survival)
    # S = 0 has no Greenwood variance, so the last event gives no upper limit.
    done = survival <= _ROUNDING
    high[done] = np.nan
    return _Limits(low, high)
