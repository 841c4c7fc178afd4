"""Looking at a comparison after every pair of runs without raising more false alarms than one look.

At look k of at most K the two-sided test is significant when its p value is at most the nominal level of that
look. The levels follow from the share of alpha that may have been spent until then (O'Brien-Fleming type,
half of alpha on either side):

    alpha(t) = 2 (2 - 2 Phi(z_(1 - alpha / 4) / sqrt(t))),  t = k / K
    P(|Z_1| < c_1, ..., |Z_(k-1)| < c_(k-1), |Z_k| >= c_k) = alpha(k / K) - alpha((k - 1) / K)
    level_k = 2 - 2 Phi(c_k)

Z_k are the standardised sums of independent normal increments. Early looks need overwhelming evidence and the
last one little more than a single test. A confidence interval at 1 - level_k holds for all looks together (a
repeated confidence interval), so it may be compared with a tolerance at every look. With Student's t in place
of the normal distribution, 5 % become at most 5.6 % (simulated, 6 to 24 looks from the second one on).

Source: Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70; Armitage,
McPherson and Rowe (1969), Journal of the Royal Statistical Society A 132 (the recursion); Jennison and
Turnbull (2000), "Group Sequential Methods", sections 7.2, 9.1 and 11.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_GRID = 801  # points of the density between the boundaries; odd, for Simpson's rule
_WIDEST = 8.0  # standard deviations; a boundary beyond is never crossed
_STEPS = 60  # of the bisection

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def nominal_levels(looks: int, alpha: float) -> tuple[float, ...]:
    """The two-sided nominal significance level of each look.

    Args: looks: the most looks there may be; fewer are on the safe side.
    """
    return tuple(2 * _upper_tail(bound) for bound in boundaries(looks, alpha))


def boundaries(looks: int, alpha: float) -> tuple[float, ...]:
    """The critical value of |Z| at each look."""
    spent = [_spent(k / looks, alpha) for k in range(looks + 1)]
    found: list[float] = []
    density = _Density.at_start()
    for k in range(1, looks + 1):
        wanted = spent[k] - spent[k - 1]
        low, high = 0.0, _WIDEST * math.sqrt(k)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if density.beyond(middle) > wanted else (low, middle)
        found.append(high / math.sqrt(k))
        density = density.after(high)
    return tuple(found)


def crossing_probability(critical: Sequence[float]) -> float:
    """The chance that |Z_k| reaches its critical value at any look, when there is no effect."""
    total, density = 0.0, _Density.at_start()
    for k, value in enumerate(critical, start=1):
        bound = value * math.sqrt(k)
        total += density.beyond(bound)
        density = density.after(bound)
    return total


def _spent(share: float, alpha: float) -> float:
    from scipy.special import ndtri

    return 4 * _upper_tail(float(ndtri(1 - alpha / 4)) / math.sqrt(share)) if share > 0 else 0.0


def _upper_tail(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


class _Density:
    """The density of the sum so far of paths that crossed no boundary, as weights at points."""

    def __init__(self, points: Floats, weights: Floats) -> None:
        self._points = points
        self._weights = weights

    @classmethod
    def at_start(cls) -> _Density:
        return cls(np.zeros(1), np.ones(1))

    def beyond(self, bound: float) -> float:
        """The probability that the next sum is at or beyond +-bound."""
        from scipy.special import ndtr

        return float(self._weights @ (ndtr(self._points - bound) + ndtr(-self._points - bound)))

    def after(self, bound: float) -> _Density:
        """The density after the next increment, of paths within +-bound."""
        points = np.linspace(-bound, bound, _GRID)
        simpson = np.ones(_GRID)
        simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
        kernel = np.exp(-0.5 * (points[:, None] - self._points[None, :]) ** 2) / math.sqrt(2 * math.pi)
        return _Density(points, (kernel @ self._weights) * simpson * (points[1] - points[0]) / 3)
