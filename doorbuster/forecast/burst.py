"""From the busiest hour to its busiest minute and second: the highest of several random counts.

The 60 minutes of an hour are taken as independent counts of mean m and index of dispersion I (variance over
mean), negative binomial for I > 1 and Poisson for I = 1. The highest of n has the distribution

    P(highest <= k) = F(k)^n

with F that of one count, so it is drawn as F^-1(u^(1/n)), u uniform.

Source: David and Nagaraja (2003), "Order statistics", 3rd edition, equation 2.1.3; the negative binomial as
a gamma-mixed Poisson: Johnson, Kemp and Kotz (2005), "Univariate discrete distributions", section 5.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POISSON = 1.0
_EXACT_BELOW = 1e6  # counts above this are so close to normal that their steps do not matter
Values = NDArray[np.float64]


def highest_of(n: int, mean: Values, dispersion: float, uniform: Values) -> Values:
    """Draws of the highest of `n` counts, shape (draws,).

    Args: mean: of one count, shape (draws,), above 0; dispersion: variance over mean, at least 1; uniform:
        shape (draws,), 0..1.
    """
    from scipy.stats import nbinom, norm, poisson

    if dispersion < POISSON:
        raise ValueError(f"dispersion must be at least 1 (got {dispersion})")
    level = uniform ** (1.0 / n)
    if mean.max() > _EXACT_BELOW:
        found: Values = mean + norm.ppf(level) * np.sqrt(dispersion * mean)
        return np.maximum(found, mean)
    if dispersion == POISSON:
        return np.asarray(poisson.ppf(level, mean), np.float64)
    p = 1.0 / dispersion
    return np.asarray(nbinom.ppf(level, mean * p / (1 - p), p), np.float64)


def index_of_dispersion(counts: Values) -> float | None:
    """Variance over mean of counts within hours, shape (hours, n), averaged over hours; at least 1.

    Each hour has its own mean, so that the daily curve does not count as burstiness. None without counts.
    """
    means = counts.mean(axis=1)
    known = means > 0
    if counts.shape[1] < 2 or not known.any():
        return None
    ratios = counts[known].var(axis=1, ddof=1) / means[known]
    return max(POISSON, float(ratios.mean()))
