"""The Universal Scalability Law: throughput by concurrency or size, fitted with its uncertainty.

    X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1))
    N      concurrent customers, or instances of the shop       X(N)   completions per second
    gamma  throughput at N = 1, per second (>= 0)
    alpha  contention: ratio of work that is serialised (0..1)
    beta   coherency: cost per pair of keeping data consistent (0..1)

For closed sweeps and mean throughput; for percentiles under open arrivals see `search`.

Rules of this module:
- Fewer than six points are not fitted.
- alpha and beta stay in 0..1. A parameter on its bound has no standard error and is listed in `on_bound`.
- A peak N* beyond the largest tested N is `extrapolated`.
- Unweighted fits almost ignore small N; `relative` residuals (difference / measured) do not. Show both.

Sources: Gunther (2007), "Guerrilla Capacity Planning", chapters 4 to 6; Gunther, Puglia and Tomasette (2015),
"Hadoop superlinear scalability", ACM Queue 13; Burnham and Anderson (2002), section 2.4 (AICc); Davison and
Hinkley (1997), "Bootstrap Methods and their Application", section 7.3 (residuals with leverage).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbuster.capacity.usl_solver import curve as curve_of
from doorbuster.capacity.usl_solver import jacobian as jacobian_of
from doorbuster.capacity.usl_solver import least_squares
from doorbuster.stats.design_effect import CONFIDENCE

Floats = NDArray[np.float64]
Weighting = Literal["absolute", "relative"]
Family = Literal["usl", "amdahl", "linear"]

MIN_POINTS = 6
BOOTSTRAP_FITS = 1000
_NAMES = ("alpha", "beta", "gamma")
FREE: dict[Family, tuple[bool, bool, bool]] = {
    "usl": (True, True, True),
    "amdahl": (True, False, True),
    "linear": (False, False, True),
}


@dataclass(frozen=True, slots=True)
class Scalability:
    """One curve X(N). Without beta it is Amdahl's law, without alpha and beta a straight line."""

    alpha: float
    beta: float
    gamma: float

    def throughput_per_s(self, n: float) -> float:
        """X(N)."""
        return self.gamma * n / (1 + self.alpha * (n - 1) + self.beta * n * (n - 1))

    @property
    def peak_n(self) -> float:
        """N* = sqrt((1 - alpha) / beta), at least 1; infinite when throughput never falls."""
        return max(1.0, math.sqrt((1 - self.alpha) / self.beta)) if self.beta > 0 else math.inf

    @property
    def peak_per_s(self) -> float:
        """Xmax = X(N*); without a peak, the asymptote."""
        return self.throughput_per_s(self.peak_n) if math.isfinite(self.peak_n) else self.asymptote_per_s

    @property
    def asymptote_per_s(self) -> float:
        """gamma / alpha: the limit set by contention alone."""
        return self.gamma / self.alpha if self.alpha > 0 else math.inf

    def n_at_throughput(self, throughput_per_s: float) -> float:
        """N(X), the smaller of the two loads that give X; X must not be above the peak.

        Smaller root of  beta X N^2 + (X (alpha - beta) - gamma) N + X (1 - alpha) = 0
        """
        x = throughput_per_s
        if not 0 < x <= self.peak_per_s * (1 + 1e-12):
            raise ValueError(f"throughput_per_s must be above 0 and at most {self.peak_per_s:.6g} (got {x})")
        a, b, c = self.beta * x, x * (self.alpha - self.beta) - self.gamma, x * (1 - self.alpha)
        if b >= 0:
            raise ValueError(f"throughput_per_s must be below {self.peak_per_s:.6g} (got {x})")
        # 2c / (-b + sqrt(...)) is the smaller root without cancellation, and its own limit for beta = 0.
        return 2 * c / (-b + math.sqrt(max(0.0, b * b - 4 * a * c)))


@dataclass(frozen=True, slots=True)
class ParameterInterval:
    """From `low` to `high`; None when the data set no limit."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One fitted parameter with standard error and t interval; both None on a bound."""

    name: str
    value: float
    standard_error: float | None
    interval: ParameterInterval | None


@dataclass(frozen=True, slots=True, eq=False)
class ScalabilityFit:
    """A curve fitted to a sweep, with its parameters and goodness of fit.

    `residual_sd` is sqrt(SSR / (n - free parameters)), per second, or a ratio with relative weighting.
    `residuals` are always measured - fitted, per second.
    """

    family: Family
    weighting: Weighting
    curve: Scalability
    parameters: tuple[Parameter, ...]
    on_bound: tuple[str, ...]
    n: Floats
    measured_per_s: Floats
    fitted_per_s: Floats
    residuals: Floats
    residual_sd: float
    degrees_of_freedom: int
    aicc: float

    @property
    def extrapolated(self) -> bool:
        """Whether the peak lies beyond the largest tested N; say so wherever the peak is shown."""
        return self.curve.peak_n > float(self.n.max())


@dataclass(frozen=True, slots=True)
class CandidateModel:
    """One of the compared families: its distance in AICc to the best, and its Akaike weight 0..1."""

    fit: ScalabilityFit
    delta: float
    weight_ratio: float


@dataclass(frozen=True, slots=True)
class BootstrapIntervals:
    """Percentile intervals from refitted resampled residuals; an infinite peak exceeds every number."""

    alpha: ParameterInterval
    beta: ParameterInterval
    gamma: ParameterInterval
    peak_n: ParameterInterval
    peak_per_s: ParameterInterval
    fits: int


def fit_scalability(
    n: Sequence[float] | Floats,
    throughput_per_s: Sequence[float] | Floats,
    *,
    family: Family = "usl",
    weighting: Weighting = "absolute",
) -> ScalabilityFit:
    """Bounded least squares of one family; t intervals with n - (free parameters) degrees of freedom.

    Raises: ValueError for fewer than six points, or a load or throughput that is not above 0.
    """
    load, measured = _checked(n, throughput_per_s)
    theta = least_squares(load, measured[None], FREE[family], relative=weighting == "relative")[0]
    curve = Scalability(*(float(value) for value in theta))
    fitted = curve_of(theta, load)
    scale = measured if weighting == "relative" else np.ones_like(measured)
    squares = float((((measured - fitted) / scale) ** 2).sum())
    free = [i for i, is_free in enumerate(FREE[family]) if is_free]
    bound = tuple(_NAMES[i] for i in free if i < 2 and not 0 < theta[i] < 1 - 1e-9)
    dof = load.size - len(free)
    sd = math.sqrt(squares / dof)
    inside = [i for i in free if _NAMES[i] not in bound]
    return ScalabilityFit(
        family=family,
        weighting=weighting,
        curve=curve,
        parameters=_parameters(theta, load, scale, inside, sd, dof),
        on_bound=bound,
        n=load,
        measured_per_s=measured,
        fitted_per_s=fitted,
        residuals=measured - fitted,
        residual_sd=sd,
        degrees_of_freedom=dof,
        aicc=_aicc(squares, scale, load.size, len(free) + 1),
    )


def compare_families(
    n: Sequence[float] | Floats,
    throughput_per_s: Sequence[float] | Floats,
    *,
    weighting: Weighting = "absolute",
) -> tuple[CandidateModel, ...]:
    """USL, Amdahl and linear by AICc, the best first; a difference below 2 is not conclusive."""
    fits = [fit_scalability(n, throughput_per_s, family=family, weighting=weighting) for family in FREE]
    fits.sort(key=lambda fit: fit.aicc)
    deltas = [fit.aicc - fits[0].aicc for fit in fits]
    weights = [math.exp(-delta / 2) for delta in deltas]
    return tuple(
        CandidateModel(fit, delta, weight / sum(weights))
        for fit, delta, weight in zip(fits, deltas, weights, strict=True)
    )


def bootstrap_scalability(
    fit: ScalabilityFit,
    rng: np.random.Generator,
    *,
    fits: int = BOOTSTRAP_FITS,
) -> BootstrapIntervals:
    """Intervals from refitting the curve with resampled residuals, scaled for the degrees of freedom.

    The loads are fixed. The same seed of `rng` gives the same intervals.
    """
    scale = fit.measured_per_s if fit.weighting == "relative" else np.ones_like(fit.measured_per_s)
    standard = fit.residuals / scale
    standard = (standard - standard.mean()) * math.sqrt(fit.n.size / fit.degrees_of_freedom)
    drawn = fit.fitted_per_s + rng.choice(standard, (fits, standard.size)) * scale
    drawn = np.maximum(drawn, 1e-6 * fit.measured_per_s)
    found = np.empty((fits, 5))
    for row, theta in zip(
        found,
        least_squares(fit.n, drawn, FREE[fit.family], relative=fit.weighting == "relative"),
        strict=True,
    ):
        curve = Scalability(*(float(value) for value in theta))
        row[:] = (*theta, curve.peak_n, curve.peak_per_s)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail], axis=0, method="inverted_cdf")
    intervals = [
        ParameterInterval(_finite(float(a)), _finite(float(b)))
        for a, b in zip(low, high, strict=True)
    ]  # fmt: skip
    alpha, beta, gamma, peak_n, peak_per_s = intervals
    return BootstrapIntervals(alpha, beta, gamma, peak_n, peak_per_s, fits)


def _checked(
    n: Sequence[float] | Floats, throughput_per_s: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    load, measured = np.asarray(n, np.float64), np.asarray(throughput_per_s, np.float64)
    if load.shape != measured.shape or load.ndim != 1:
        raise ValueError(f"each load needs one throughput (got {load.shape} and {measured.shape})")
    if load.size < MIN_POINTS:
        raise ValueError(f"a scalability fit needs at least {MIN_POINTS} points (got {load.size})")
    if float(load.min()) <= 0 or float(measured.min()) <= 0:
        raise ValueError("loads and throughputs must be above 0; leave out points without completions")
    return load, measured


def _parameters(
    theta: Floats, load: Floats, scale: Floats, inside: list[int], sd: float, dof: int
) -> tuple[Parameter, ...]:
    from scipy.special import stdtrit

    jacobian = jacobian_of(theta, load)[:, inside] / scale[:, None]
    errors = dict(zip(inside, sd * np.sqrt(np.diag(np.linalg.pinv(jacobian.T @ jacobian))), strict=True))
    t = float(stdtrit(dof, (1 + CONFIDENCE) / 2))
    return tuple(
        Parameter(
            name,
            float(theta[i]),
            float(errors[i]) if i in errors else None,
            ParameterInterval(float(theta[i] - t * errors[i]), float(theta[i] + t * errors[i]))
            if i in errors
            else None,
        )
        for i, name in enumerate(_NAMES)
    )


def _aicc(squares: float, scale: Floats, n: int, k: int) -> float:
    """n ln(SSR/n) + 2k + 2k(k+1)/(n-k-1), k with the variance; weighting adds sum of 2 ln(scale).

    The SSR of a perfect fit is set to rounding error, so that models can still be compared.
    """
    variance = max(squares / n, 1e-30)
    return n * math.log(variance) + 2 * float(np.log(scale).sum()) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
