"""The effect of one build on a metric, from values of whole runs: estimate, interval, p value, runs needed.

Requests of one run are correlated, and runs of one build differ, so the run is the unit of observation: tests
on single requests find differences between two runs of the same build in a third to nine tenths of all cases.

Rules of this module:
- All values are on the scale in which they are compared: logarithms for ratios, plain numbers for
  differences. An effect is candidate minus baseline.
- A standard error that is unknown is infinite: an effect without one has no interval and a p value of 1.

Source: Kalibera and Jones (2013), "Rigorous benchmarking in reasonable time", ISMM (runs as the highest level
of repetition); Welch (1947), Biometrika 34 (unequal variances); Stein (1945), "A two-sample test for a linear
hypothesis whose power is independent of the variance", Annals of Mathematical Statistics 16 (runs needed).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.stats.design_effect import CONFIDENCE

POWER = 0.8
MAX_RUNS = 1000  # more are not a plan
MIN_WELCH_RUNS = 3  # fewer do not show how far the variances differ


@dataclass(frozen=True, slots=True)
class EffectEstimate:
    """Candidate minus baseline, with the standard error on either side and its degrees of freedom.

    `variance_per_run` is the sum of both variances between runs: with k runs of each build the squared
    standard error is `variance_per_run` / k. None when it is unknown.
    """

    value: float
    error_below: float
    error_above: float
    df: float
    variance_per_run: float | None

    def low(self, confidence: float = CONFIDENCE) -> float | None:
        """Lower end of the two-sided interval; None when it is unknown."""
        return self._end(-1.0, self.error_below, confidence)

    def high(self, confidence: float = CONFIDENCE) -> float | None:
        """Upper end of the two-sided interval; None when it is unknown."""
        return self._end(1.0, self.error_above, confidence)

    @property
    def p_value(self) -> float:
        """Two-sided, of no effect."""
        error = self.error_below if self.value > 0 else self.error_above
        if self.value == 0 or math.isinf(error):
            return 1.0
        return 2 * _upper_tail(abs(self.value) / error, self.df) if error > 0 else 0.0

    def _end(self, sign: float, error: float, confidence: float) -> float | None:
        reach = math.inf if math.isinf(error) else t_quantile((1 + confidence) / 2, self.df) * error
        return self.value + sign * reach if math.isfinite(reach) else None


def effect_of_runs(
    baseline: Sequence[float], candidate: Sequence[float], *, least_variance: float = 0.0
) -> EffectEstimate:
    """Difference of the means of several runs of each build.

    With three or more runs on both sides, each has its own variance (Welch). With fewer, both share one:

        s^2 = (sum of (a_i - mean a)^2 + sum of (b_i - mean b)^2) / (n_a + n_b - 2)
        squared error = s^2 (1 / n_a + 1 / n_b)

    which also covers one new run against several old ones (a prediction interval).

    Args: least_variance: of one run, known from the resolution of its value; at least 0.
    Raises: ValueError without two runs on one side.
    """
    if min(len(baseline), len(candidate)) < 1 or len(baseline) + len(candidate) < 3:
        raise ValueError("needs a run of each build and two of one of them")
    a, b = np.asarray(baseline, np.float64), np.asarray(candidate, np.float64)
    value = float(b.mean() - a.mean())
    if min(a.size, b.size) >= MIN_WELCH_RUNS:
        variance_a = max(float(a.var(ddof=1)), least_variance)
        variance_b = max(float(b.var(ddof=1)), least_variance)
        df = _welch_df(variance_a, a.size, variance_b, b.size)
    else:
        df = float(a.size + b.size - 2)
        shared = float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / df
        variance_a = variance_b = max(shared, least_variance)
    error = math.sqrt(variance_a / a.size + variance_b / b.size)
    return EffectEstimate(value, error, error, df, variance_a + variance_b)


def effect_of_pairs(differences: Sequence[float], *, least_variance: float = 0.0) -> EffectEstimate:
    """Mean of the differences of runs that were made in pairs, so that a drift of both cancels.

    Args: differences: candidate minus baseline of each pair; least_variance: of one difference.
    Raises: ValueError for fewer than two pairs.
    """
    if len(differences) < 2:
        raise ValueError(f"needs two pairs of runs (got {len(differences)})")
    found = np.asarray(differences, np.float64)
    variance = max(float(found.var(ddof=1)), least_variance)
    error = math.sqrt(variance / found.size)
    return EffectEstimate(float(found.mean()), error, error, found.size - 1.0, variance)


def runs_needed(
    variance_per_run: float,
    df: float,
    tolerance: float,
    *,
    alpha: float = 1 - CONFIDENCE,
    power: float = POWER,
    paired: bool = False,
) -> int | None:
    """Runs of each build that find an effect of `tolerance`, and prove an effect of 0 to be within it.

    The smallest k with

        sqrt(variance_per_run / k) (t_(1 - alpha / 2) + t_((1 + power) / 2)) <= tolerance

    t of Student with the smaller of `df`, those of the pilot (Stein), and 2 k - 2 (k - 1 when paired). The
    second quantile is that of equivalence, where the effect may miss either end (Schuirmann 1987, Journal of
    Pharmacokinetics and Biopharmaceutics 15); finding an effect needs less.

    Returns: None above `MAX_RUNS`, or for a tolerance of 0.
    """
    if tolerance <= 0:
        return None

    def suffices(runs: int) -> bool:
        freedom = min(df, float(runs - 1 if paired else 2 * runs - 2))
        factor = t_quantile(1 - alpha / 2, freedom) + t_quantile((1 + power) / 2, freedom)
        return math.sqrt(variance_per_run / runs) * factor <= tolerance

    if not suffices(MAX_RUNS):
        return None
    return bisect_left(range(MAX_RUNS + 1), True, lo=2, key=suffices)


def smallest_effect(variance_per_run: float, df: float, runs: int, *, alpha: float = 1 - CONFIDENCE) -> float:
    """The smallest effect that this many runs of each build, or pairs, find with 80 % power."""
    factor = t_quantile(1 - alpha / 2, df) + t_quantile(POWER, df)
    return math.sqrt(variance_per_run / runs) * factor


def t_quantile(level: float, df: float) -> float:
    """Quantile of Student's t; of the normal distribution for infinite degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(level) if math.isinf(df) else stdtrit(df, level))


def _upper_tail(t: float, df: float) -> float:
    from scipy.special import ndtr, stdtr

    return float(ndtr(-t) if math.isinf(df) else stdtr(df, -t))


def _welch_df(variance_a: float, n_a: int, variance_b: float, n_b: int) -> float:
    """Degrees of freedom of Welch and Satterthwaite."""
    parts = variance_a / n_a, variance_b / n_b
    below = parts[0] ** 2 / (n_a - 1) + parts[1] ** 2 / (n_b - 1)
    return (parts[0] + parts[1]) ** 2 / below if below > 0 else float(n_a + n_b - 2)
