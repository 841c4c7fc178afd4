"""The rate at which a threshold reaches its bound when the limit is near what an idle shop needs.

The violations of an idle shop are then a large part of the allowed ones, and the load adds little to them:

    violations / allowed = B + (1 - B) (e^(k r / r*) - 1) / (e^k - 1)

with B the idle part, r* the crossing and k the curvature: close to proportional to the load for small k,
exponential for large k. It is exact for M/M/1, where B = e^-k makes it the line of `threshold_crossing`.
The error of B is a large part of the result, so B is estimated together with r* and k from all rates, idle
ones included, and the interval covers every r* that any B and k can explain.

Rules of this module:
- Counts only: the exponential tail estimate is biased when service times dominate.
- Quasi-Poisson deviance: a rate without violations is evidence too. The dispersion is the observed clustering
  of slow requests, pooled over neighbouring rates, and at least that of independent requests.
- Rates far above the bound are left out, see `MAX_RATIO`.

Source: Wedderburn (1974), "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton
method", Biometrika 61; Abbott (1925), Journal of Economic Entomology 18.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FAR_RATIO, MAX_RATIO = 8.0, 3.0  # observed and fitted violations over allowed ones
_BASES = np.array([0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 0.99])
_CURVATURES = np.exp(np.linspace(math.log(0.05), math.log(60.0), 12))
NEIGHBOUR_RATIO = 1.15
ONE_SIDED = 1.645
CAUTION = 1.4  # only narrow intervals are reported, and some are narrow by chance
_LOWEST, _ROOTS = 0.02, 80  # crossings tried: from this part of the highest rate, in equal logarithmic steps


@dataclass(frozen=True, slots=True)
class CountPoint:
    """Violations over allowed violations at one rate, with their dispersion (1: independent requests)."""

    rate_per_s: float
    allowed: float
    observed: float
    dispersion: float
    degrees_of_freedom: int
    seconds: float


@dataclass(frozen=True, slots=True)
class IdleCrossing:
    """The crossing with its 95 % interval, and the idle part B of the allowed violations with 95 % limits.

    An end is None when no rate up to the highest (or down to a fiftieth of it) is excluded.
    """

    rate_per_s: float
    low: float | None
    high: float | None
    idle_ratio: float
    idle_low: float
    idle_high: float
    curvature: float
    seconds: float

    def ratio_at(self, rate_per_s: float) -> float:
        """Violations over allowed ones on the curve."""
        k, x = self.curvature, rate_per_s / self.rate_per_s
        grown = math.exp(min(k * (x - 1), 50.0)) * math.expm1(-k * x) / math.expm1(-k)
        return self.idle_ratio + (1 - self.idle_ratio) * grown

    @property
    def half_width_ratio(self) -> float:
        """Half the interval over the estimate; infinite without both ends."""
        if self.low is None or self.high is None:
            return math.inf
        return (self.high - self.low) / (2 * self.rate_per_s)


def find_idle_crossing(points: Sequence[CountPoint], *, top_per_s: float) -> IdleCrossing | None:
    """The crossing below `top_per_s`; None with less than two rates.

    The curve, not the noisy counts of a rate, decides which rates are too far above the bound.
    """
    used = [point for point in points if point.observed < FAR_RATIO * point.allowed]
    found = _fit(used, top_per_s)
    for _ in range(2):
        if found is None:
            return None
        again = [point for point in points if found.ratio_at(point.rate_per_s) < MAX_RATIO]
        closer = _fit(again, top_per_s)
        if again == used or closer is None:
            break
        used, found = again, closer
    return found


def _fit(points: Sequence[CountPoint], top_per_s: float) -> IdleCrossing | None:
    from scipy.special import stdtrit

    if len(points) < 2:
        return None
    rate = np.array([point.rate_per_s for point in points])
    allowed = np.array([point.allowed for point in points])
    observed = np.array([point.observed for point in points])
    roots = top_per_s * np.exp(np.linspace(math.log(_LOWEST), 0.0, _ROOTS))
    k = _CURVATURES[:, None, None]
    x = rate / roots[:, None]
    grown = np.exp(np.clip(k * (x - 1), -50, 50)) * -np.expm1(-k * x) / -np.expm1(-k)  # (k, roots, points)
    base = _BASES[:, None, None, None]
    expected = base + (1 - base) * grown
    weight = allowed / _dispersions(points)
    share = observed / allowed
    known = np.where(share > 0, share * np.log(np.maximum(share, 1e-300)), 0.0) - share
    misfit = 2 * ((known - share * np.log(expected) + expected) @ weight)  # (base, k, roots)
    dof = sum(point.degrees_of_freedom for point in points)
    spare = len(points) - 3
    if spare > 0:
        misfit = misfit / max(1.0, float(misfit.min()) / spare)
    best = np.unravel_index(int(np.argmin(misfit)), misfit.shape)
    reach = CAUTION * float(stdtrit(max(1, dof), 0.975))
    within = misfit - misfit[best] <= reach**2
    inside = np.flatnonzero(within.any(axis=(0, 1)))
    bases = np.flatnonzero((misfit - misfit[best] <= ONE_SIDED**2).any(axis=(1, 2)))
    low, high = int(inside[0]) - 1, int(inside[-1]) + 1
    return IdleCrossing(
        rate_per_s=float(roots[best[2]]),
        low=float(roots[low]) if low >= 0 else None,
        high=float(roots[high]) if high < _ROOTS else None,
        idle_ratio=float(_BASES[best[0]]),
        idle_low=float(_BASES[bases[0]]),
        idle_high=float(_BASES[bases[-1]]),
        curvature=float(_CURVATURES[best[1]]),
        seconds=sum(point.seconds for point in points),
    )


def _dispersions(points: Sequence[CountPoint]) -> Floats:
    """The dispersion of each point: its own, but at least the mean over all rates up to its own.

    Clustering grows with load: busy rates say nothing about calm ones, while a busy rate that happens to
    look calm is corrected by the others.
    """
    rate = np.array([point.rate_per_s for point in points])
    own = np.array([point.dispersion for point in points])
    weight = np.array([point.observed for point in points])
    upto = rate <= rate[:, None] * NEIGHBOUR_RATIO  # (points, those up to it)
    mean = upto @ (own * weight) / np.maximum(upto @ weight, 1e-9)
    return np.asarray(np.maximum(np.maximum(own, mean), 1.0))
