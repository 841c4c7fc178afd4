"""How well one series of seconds tracks another that follows it: rank correlation at the best lag.

Neighbouring seconds are alike, so n seconds are worth fewer independent ones; the p value counts those, and
pays for every lag that was tried. Correlation is not cause: whatever grows with the load tracks the latency.

Source: Pyper and Peterman (1998), "Comparison of methods to account for autocorrelation in correlation
analyses of fish data", Canadian Journal of Fisheries and Aquatic Sciences 55, equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MIN_PAIRS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LaggedCorrelation:
    """Spearman's rho of x and the y that comes `lag` seconds later.

    p_value: one-sided, of a rho this large without a relation, for `effective_n` independent pairs and after
    `lags` lags were tried.
    """

    rho: float
    lag: int
    n: int
    effective_n: float
    lags: int
    p_value: float


def lagged_rank_correlation(x: Floats, y: Floats, *, lags: Sequence[int]) -> LaggedCorrelation | None:
    """The correlation at the lag with the largest rho; None where a series does not vary.

    Args: x, y: shape (n,), by second; NaN where unknown. Pairs with a NaN are left out.
    """
    best: LaggedCorrelation | None = None
    tried = 0
    for lag in lags:
        if lag >= x.size:
            continue
        a, b = x[: x.size - lag], y[lag:]
        known = ~(np.isnan(a) | np.isnan(b))
        a, b = stats.rankdata(a[known]), stats.rankdata(b[known])
        if a.size < MIN_PAIRS or np.ptp(a) == 0 or np.ptp(b) == 0:
            continue
        tried += 1
        rho = float(np.corrcoef(a, b)[0, 1])
        if best is None or rho > best.rho:
            best = LaggedCorrelation(rho, lag, a.size, effective_pairs(a, b), 0, 1.0)
    if best is None:
        return None
    p_value = min(1.0, tried * _p_value(best.rho, best.effective_n))
    return LaggedCorrelation(best.rho, best.lag, best.n, best.effective_n, tried, p_value)


def effective_pairs(x: Floats, y: Floats) -> float:
    """Independent pairs that are as informative as these n, between 2 and n.

    1/n* = 1/n + 2/n * sum over j of (n - j)/n * r_xx(j) * r_yy(j),  j = 1 .. n/5
    """
    n = x.size
    lags = np.arange(1, n // 5 + 1)
    product = _autocorrelation(x, lags) * _autocorrelation(y, lags)
    inverse = 1.0 / n + 2.0 / n * float(np.sum((n - lags) / n * product))
    return float(np.clip(1.0 / inverse if inverse > 0 else n, 2.0, n))


def _autocorrelation(x: Floats, lags: NDArray[np.int64]) -> Floats:
    centred = x - x.mean()
    variance = float(centred @ centred)
    return np.array([float(centred[: x.size - lag] @ centred[lag:]) / variance for lag in lags])


def _p_value(rho: float, n: float) -> float:
    """Of the t statistic with n - 2 degrees of freedom."""
    if n <= 2.0:
        return 1.0
    if rho >= 1.0:
        return 0.0
    return float(stats.t.sf(rho * np.sqrt((n - 2.0) / (1.0 - rho**2)), n - 2.0))
