"""The rate at which a rising level reaches its bound, from a line fitted to noisy estimates with intervals.

    level_i = b (rate_i / r - 1) + e_i,      r the crossing, b > 0 the elasticity
    Q(r) = min over b of  sum 2 (exp(e_i) - 1 - e_i) / v_i + (ln b - ln b0)^2 / s^2
    interval: all r with  Q(r) - min Q <= t^2

The level is a logarithm (`bound_distance`). With exponential service times it is a straight line in the
rate: ln P(T > t) = -(mu - lambda) t for M/M/1. For others it is nearly straight near the bound; points
further than a factor `WINDOW` away on the line are left out, and only used to bracket the answer.

Rules of this module:
- At least two rates. A few points cannot determine slope and crossing at once, so queueing theory supplies a
  prior for the slope (`QueuePrior`); without it an interval takes four times as long. Rates on both sides of
  the crossing keep an error of the slope from moving it.
- The observed ratio is unbiased, its logarithm is biased low: the misfit is the deviance of a gamma
  distribution with relative variance v_i, which penalises low points less than high ones.
- All points share one variance per second. A period without a cluster of slow requests has a low level and
  little scatter at once; weighted by its own scatter it would pull the line towards itself. Theory may raise
  the variance (`QueuePrior.variance_s`), never lower it.
- Points that scatter about the line more than their errors explain widen the interval (the shop changes over
  time).

Sources: McCullagh and Nelder (1989), "Generalized Linear Models", chapter 8 (gamma, log link); Cole, Chu and
Greenland (2014), "Maximum likelihood, profile likelihood, and penalized likelihood", American Journal of
Epidemiology 179; Finney (1978), "Statistical Method in Biological Assay", chapters 3 and 4; Whitt (1989),
"Planning queueing simulations", Management Science 35 (variance of a queue in heavy traffic).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW = 12.0  # times the allowed level, either way
_USUAL, _SIGMA = 12.0, 1.25  # elasticity of queues at common thresholds, and its spread in logarithms
_SERVICE_SHARE, _SIGMA_QUEUE = 0.85, 0.35
_MIN_SPARE = 0.01
_CAUTION = 1.2  # factor by which errors from a few clusters are too small, without a value from theory
_TOWARDS_EXPECTED = 1 / 3
_ROOTS = np.exp(np.linspace(math.log(0.5), math.log(2.0), 555))  # of the mean rate, in steps of 0.25 %
_SLOPES = np.exp(np.linspace(math.log(0.5), math.log(300.0), 60))
_FARTHEST = 20.0  # the misfit is capped at e^20 times the value of the line


@dataclass(frozen=True, slots=True)
class RatePoint:
    """The level at one rate, its standard error and degrees of freedom, and the observed seconds."""

    rate_per_s: float
    level: float
    se: float
    degrees_of_freedom: int
    seconds: float


@dataclass(frozen=True, slots=True)
class QueuePrior:
    """The slope and noise of the line according to queueing theory.

    Without a saturation rate: the range of queues at common thresholds, 1 to 140. With it: waiting times are
    proportional to 1 / (saturation - rate), so b = ln(1 / limit) r / (saturation - r). This is exact for
    M/M/1, and for M/G/1 in heavy traffic; when the service time is a large part of the allowed time, b is
    down to half of that.
    """

    saturation_per_s: float | None = None
    limit_ratio: float | None = None
    saturation_error_ratio: float = 0.0
    bound_s: float = 0.0

    def log_elasticity(self, roots_per_s: Floats) -> Floats:
        """Centre of the prior, ln b, at each possible crossing."""
        if self.saturation_per_s is None or self.limit_ratio is None:
            return np.full(roots_per_s.shape, math.log(_USUAL))
        spare = np.maximum(self.saturation_per_s / roots_per_s - 1, _MIN_SPARE)
        return np.asarray(np.log(_SERVICE_SHARE * -math.log(self.limit_ratio) / spare))

    def sigma(self, roots_per_s: Floats) -> Floats:
        """Standard deviation of ln b at each possible crossing, from the rule and from the spare capacity.

        Near saturation, an error of the saturation rate is a large part of the spare capacity.
        """
        if self.saturation_per_s is None or self.limit_ratio is None:
            return np.full(roots_per_s.shape, _SIGMA)
        full = self.saturation_per_s / roots_per_s
        spare = self.saturation_error_ratio * full / np.maximum(full - 1, _MIN_SPARE)
        return np.asarray(np.minimum(np.hypot(_SIGMA_QUEUE, spare), _SIGMA))

    def variance_s(self, rate_per_s: float) -> float | None:
        """Variance of the level times the observed seconds; None without a saturation rate.

        In heavy traffic the backlog is a random walk with drift -s, s the idle ratio. It stays above a level
        for 2 e / s seconds, with e the mean excess, and is above for a share P of the time:

            variance * seconds = 2 e / (s P),    e = bound / ln(1 / P)

        A count has up to twice this variance, a tail estimate less, and both less when the service time is
        part of the bound: six simulated queues of one to eight servers show 0.8 to 1.6 times this value.
        """
        if self.saturation_per_s is None or self.limit_ratio is None or not self.bound_s:
            return None
        spare = max(1 - rate_per_s / self.saturation_per_s, _MIN_SPARE)
        return 2 * self.bound_s / (spare * self.limit_ratio * -math.log(self.limit_ratio))


@dataclass(frozen=True, slots=True)
class Crossing:
    """The rate at which the level is 0; `low` or `high` is None when the points set no limit.

    `elasticity` is the rise of the level per logarithm of the rate, at the crossing. `is_between`: there are
    points on both sides of the bound; otherwise the crossing is an extrapolation.
    """

    rate_per_s: float
    low: float | None
    high: float | None
    elasticity: float
    points: int
    seconds: float
    is_between: bool

    def level_at(self, rate_per_s: float) -> float:
        """The value of the line at a rate."""
        return self.elasticity * (rate_per_s / self.rate_per_s - 1)

    @property
    def half_width_ratio(self) -> float:
        """Half the interval over the estimate; infinite without both ends."""
        if self.low is None or self.high is None:
            return math.inf
        return (self.high - self.low) / (2 * self.rate_per_s)


def find_crossing(points: Sequence[RatePoint], known: QueuePrior) -> Crossing | None:
    """The crossing of the rising line through the points; None with less than two rates."""
    from scipy.special import fdtrc, stdtrit

    used = [point for point in points if math.isfinite(point.se) and point.se > 0]
    if len({point.rate_per_s for point in used}) < 2:
        return None
    variance = _pooled_variance(used, known)
    grid = _Grid.of(used, 1 / variance, known)
    misfit, prior, middle = grid.misfit, grid.prior, grid.middle_per_s
    dof = sum(point.degrees_of_freedom for point in used)
    scale = 1.0
    if len(used) > 2:
        best = np.unravel_index(int(np.argmin(misfit + prior)), misfit.shape)
        found = float(misfit[best]) / (len(used) - 2)
        if float(fdtrc(len(used) - 2, dof, found)) < 0.05:
            scale = found
    penalised = misfit / scale + prior
    profile = penalised.min(axis=0)
    root = int(np.argmin(profile))
    t = float(stdtrit(max(1, dof), 0.975))
    inside = np.flatnonzero(profile - profile[root] <= t**2)
    low, high = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, len(_ROOTS) - 1)
    return Crossing(
        rate_per_s=middle * float(_ROOTS[root]),
        low=middle * float(_ROOTS[low]) if low > 0 else None,
        high=middle * float(_ROOTS[high]) if high < len(_ROOTS) - 1 else None,
        elasticity=float(_SLOPES[int(np.argmin(penalised[:, root]))]),
        points=len(used),
        seconds=sum(point.seconds for point in used),
        is_between=min(point.level for point in used) <= 0 < max(point.level for point in used),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The misfit of each slope and crossing, and the penalty of its slope (prior)."""

    middle_per_s: float
    misfit: Floats
    prior: Floats

    @classmethod
    def of(cls, points: Sequence[RatePoint], weight: Floats, known: QueuePrior) -> _Grid:
        """All of `_SLOPES` (rows) and `_ROOTS` (columns)."""
        level = np.array([point.level for point in points])
        rate = np.array([point.rate_per_s for point in points])
        middle = float(weight @ rate / weight.sum())
        x = rate / (middle * _ROOTS[:, None]) - 1  # (roots, points)
        off = level - _SLOPES[:, None, None] * x  # (slopes, roots, points)
        misfit = 2 * ((np.exp(np.minimum(off, _FARTHEST)) - 1 - off) @ weight)
        expected = known.log_elasticity(middle * _ROOTS)
        sigma = known.sigma(middle * _ROOTS)
        prior = ((np.log(_SLOPES)[:, None] - expected) / sigma) ** 2 + 2 * np.log(sigma / sigma.min())
        return cls(middle, misfit, prior)


def _pooled_variance(points: Sequence[RatePoint], known: QueuePrior) -> Floats:
    """The variance of each point: the average variance per second over all points, divided by its seconds.

    A rate's own scatter is not used as its weight, see the rules above. When a queue should scatter more than
    all points do, the variance is moved a third of the way towards the expected one.
    """
    seconds = np.array([point.seconds for point in points])
    own = np.array([point.se**2 for point in points])
    seen = float(seconds @ (own * seconds)) / float(seconds.sum())
    rate = float(seconds @ [point.rate_per_s for point in points]) / float(seconds.sum())
    expected = known.variance_s(rate)
    if expected is None:
        return np.asarray(_CAUTION**2 * seen / seconds)
    return np.asarray(max(seen, seen * (expected / seen) ** _TOWARDS_EXPECTED) / seconds)
