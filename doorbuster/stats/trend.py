"""A steady trend of a positive value over time, and when it reaches a limit.

    ln y = a + b (t - t_mean) + error
    s^2 (band of the mean at t) = s^2 (1/n + (t - t_mean)^2 / Sxx) / w

w: how many independent values each value is worth, 0..1, from the autocorrelation of the residuals. The times
at which the limit may be reached are those at which the band of the mean contains it: the roots of a
quadratic equation, which exist on both sides only if the slope differs significantly from 0.

Source: Draper and Smith (1998), "Applied regression analysis", 3rd edition, sections 1.4 and 3.2 (inverse
regression); Fieller (1954), "Some problems in interval estimation", JRSS B 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.stats.change_points import autocorrelation
from doorbuster.stats.design_effect import CONFIDENCE
from doorbuster.stats.difference import ValueWithInterval
from doorbuster.stats.run_comparison import t_quantile

_MAX_LOG = 700.0  # e^710 is more than a float holds
_MAX_LOG_SLOPE = 20.0  # so is the thirtieth power of e^24
MIN_POINTS = 5


@dataclass(frozen=True, slots=True)
class Trend:
    """The fitted line. `slope` is the relative change per unit of time, exp(b) - 1, with its interval."""

    slope: ValueWithInterval
    n: int
    mean_time: float
    log_level: float
    log_slope: float
    error: float  # of a single value, on the log scale, enlarged for autocorrelation
    spread: float  # Sxx
    t: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval of the slope excludes 0."""
        return abs(self.log_slope) > self.t * self.error / math.sqrt(self.spread)

    def at(self, time: float) -> ValueWithInterval:
        """The mean value at a time, with its 95 % interval."""
        u = time - self.mean_time
        middle = self.log_level + self.log_slope * u
        reach = self.t * self.error * math.sqrt(1 / self.n + u * u / self.spread)
        return ValueWithInterval(*(_exp(middle + sign * reach) for sign in (0, -1, 1)))

    def reaches(self, limit: float) -> ValueWithInterval | None:
        """When the mean value is at the limit, with the 95 % interval of that time.

        None if the slope is not certain, because then it may never be.
        """
        if not self.is_certain:
            return None
        above = self.log_level - math.log(limit)
        c2 = (self.t * self.error) ** 2
        a, b, c = self.log_slope**2 - c2 / self.spread, 2 * self.log_slope * above, above**2 - c2 / self.n
        root = math.sqrt(max(0.0, b * b - 4 * a * c))
        ends = sorted(self.mean_time + (-b + sign * root) / (2 * a) for sign in (-1, 1))
        return ValueWithInterval(self.mean_time - above / self.log_slope, ends[0], ends[1])


def fit_trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The trend of positive values; None with fewer than five, or when all are of one time.

    Args: times: shape (n,), any unit, in order; values: shape (n,), above 0.
    """
    t, y = np.asarray(times, np.float64), np.log(np.asarray(values, np.float64))
    n = len(t)
    spread = float(((t - t.mean()) ** 2).sum()) if n else 0.0
    if n < MIN_POINTS or spread == 0:
        return None
    slope = float(((t - t.mean()) * y).sum()) / spread
    residuals = y - y.mean() - slope * (t - t.mean())
    phi = autocorrelation(residuals)
    worth = (1 - phi) / (1 + phi)
    df = max(1.0, worth * n - 2)
    error = math.sqrt(float((residuals**2).sum()) / (n - 2) / worth)
    quantile = t_quantile((1 + CONFIDENCE) / 2, df)
    reach = quantile * error / math.sqrt(spread)
    ends = (math.expm1(min(slope + sign * reach, _MAX_LOG_SLOPE)) for sign in (0, -1, 1))
    return Trend(
        ValueWithInterval(*ends), n, float(t.mean()), float(y.mean()), slope, error, spread, quantile
    )


def _exp(log: float) -> float:
    return math.exp(min(log, _MAX_LOG))
