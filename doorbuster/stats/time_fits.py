"""Distributions of think times, fitted to times that are known to whole seconds or milliseconds and cut off
at the gap that ends a visit.

A time d is known to lie between d - r/2 and d + r/2, r the resolution; times above the cut are not seen. The
likelihood of such a time is (F(d + r/2) - F(d - r/2)) / F(cut).
Source: W. Meeker, L. Escobar (1998), "Statistical Methods for Reliability Data", sections 2.4 (interval
censoring) and 11.6 (truncation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Family = Literal["lognormal", "exponential"]
_CELLS = 400
_SMALLEST_SHARE = 1e-300


@dataclass(frozen=True, slots=True)
class TimeFit:
    """A fitted distribution and how well it fits.

    median_s, sigma: of the lognormal. mean_s: of the exponential, without the cut.
    distance: largest difference between its distribution function and the observed one (Kolmogorov and
    Smirnov), 0..1. aic: the smaller, the better (Akaike 1974).
    """

    family: Family
    median_s: float
    sigma: float
    mean_s: float
    distance: float
    aic: float
    n: int
    cut_s: float

    def share_below(self, time_s: Floats) -> Floats:
        """The distribution function of the times that are seen."""
        below = _family(self.family)(self._parameters, np.minimum(time_s, self.cut_s))
        return np.asarray(below / _family(self.family)(self._parameters, np.array([self.cut_s])))

    @property
    def _parameters(self) -> tuple[float, float]:
        return (math.log(self.median_s), self.sigma) if self.family == "lognormal" else (self.mean_s, 0.0)


def fit_times(times_s: Floats, *, resolution_s: float, cut_s: float) -> list[TimeFit]:
    """Both families, the better one first; none for fewer than 30 times, or without differences.

    Args: times_s: observed, any order; those above `cut_s` are left out.
    """
    from scipy.optimize import minimize

    times = np.sort(times_s[times_s <= cut_s])
    if times.size < 30 or times[-1] - times[0] <= resolution_s:
        return []
    edges, counts = _cells(times, resolution_s, cut_s)
    positive = np.maximum(times, resolution_s / 2)
    logs = np.log(positive)
    starts = {
        "lognormal": (float(logs.mean()), math.log(max(float(logs.std()), 0.05))),
        "exponential": (math.log(float(positive.mean())),),
    }

    def cost(family: Family, values: Floats) -> float:
        below = _family(family)(_parameters(family, values), edges)
        share = np.diff(below) / max(float(below[-1]), _SMALLEST_SHARE)
        return -float(counts @ np.log(np.maximum(share, _SMALLEST_SHARE)))

    fits = []
    families: tuple[Family, ...] = ("lognormal", "exponential")
    for family in families:
        found = minimize(
            lambda values, family=family: cost(family, values), starts[family], method="Nelder-Mead"
        )
        first, second = _parameters(family, found.x)
        is_lognormal = family == "lognormal"
        fit = TimeFit(
            family,
            median_s=math.exp(first) if is_lognormal else first * math.log(2),
            sigma=second,
            mean_s=math.exp(first + second**2 / 2) if is_lognormal else first,
            distance=0.0,
            aic=2 * len(found.x) + 2 * float(found.fun),
            n=int(times.size),
            cut_s=cut_s,
        )
        observed = np.cumsum(counts) / counts.sum()
        distance = float(np.abs(fit.share_below(edges[1:]) - observed).max())
        fits.append(replace(fit, distance=distance))
    return sorted(fits, key=lambda fit: fit.aic)


def _cells(times: Floats, resolution_s: float, cut_s: float) -> tuple[Floats, Floats]:
    """Edges from 0 to the cut that lie between possible times, and the number of times in each cell."""
    wanted = np.quantile(times, np.linspace(0, 1, _CELLS))
    steps = np.unique(np.round(wanted / resolution_s))
    edges = np.unique(np.concatenate(([0.0], (steps + 0.5) * resolution_s, [cut_s])))
    edges = edges[edges <= cut_s]
    counts, _ = np.histogram(times, bins=edges)
    return edges, counts.astype(np.float64)


def _parameters(family: Family, values: Floats) -> tuple[float, float]:
    if family == "lognormal":
        return float(values[0]), math.exp(min(float(values[1]), 5.0))
    return math.exp(min(float(values[0]), 50.0)), 0.0


def _family(family: Family) -> Callable[[tuple[float, float], Floats], Floats]:
    return _lognormal if family == "lognormal" else _exponential


def _lognormal(parameters: tuple[float, float], time_s: Floats) -> Floats:
    from scipy.special import ndtr

    place, sigma = parameters
    logs = np.log(np.maximum(time_s, 1e-12))
    return np.asarray(np.where(time_s > 0, ndtr((logs - place) / sigma), 0.0))


def _exponential(parameters: tuple[float, float], time_s: Floats) -> Floats:
    return np.asarray(-np.expm1(-time_s / parameters[0]))
