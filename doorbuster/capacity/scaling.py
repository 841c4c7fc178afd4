"""What a few throughputs at growing load or size say: which law fits, where it peaks, how many are needed.

Rules of this module:
- Under six different sizes nothing is fitted (`usl`); the measured points still answer.
- The law is the simplest that is not clearly worse: within 2 of the best AICc, with the fewest parameters.
  With a handful of points AICc punishes a third parameter harder than any fall of throughput can outweigh; so
  where throughput certainly falls, the full law is taken: the other two never fall.
- Throughput certainly falls when the peak's interval lies within what was measured, and the largest size did
  less than the best one: beyond both their intervals, or by 5 % where there are none.
- Beyond the largest size that was measured everything is extrapolated, and says so.
- "How many are needed" holds only if throughput goes on as the law says: the interval is that of refitted,
  resampled residuals (bootstrap), not of what nobody has measured.

Source: Burnham and Anderson (2002), section 2.6 (a difference below 2 decides nothing); the rest in `usl`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.capacity.usl import (
    FREE,
    MIN_POINTS,
    BootstrapIntervals,
    Candidate,
    ScalabilityFit,
    Weighting,
    bootstrap_scalability,
    compare_families,
    fit_scalability,
)

UNDECIDED = 2.0
CLEAR_FALL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """The laws compared, the one to go by, and what is uncertain about the full one.

    `usl` is the three-parameter fit with `intervals` from the bootstrap; `law` the simplest that fits.
    """

    candidates: tuple[Candidate, ...]
    usl: ScalabilityFit
    intervals: BootstrapIntervals
    law: ScalabilityFit


@dataclass(frozen=True, slots=True)
class Needed:
    """The smallest whole size whose throughput reaches what is wanted; None when none does.

    `fitted`: read off the law, and not off a measured point. `extrapolated`: beyond the largest one measured.
    """

    size: int | None
    fitted: bool
    extrapolated: bool


def scale(
    n: Sequence[float],
    per_s: Sequence[float],
    *,
    weighting: Weighting,
    ends: Sequence[tuple[float | None, float | None]] = (),
) -> Scaling | None:
    """The laws of the points; None when there are fewer than six different sizes.

    Args: n: growing; ends: the 95 % interval of each throughput, where known.
    """
    if len(set(n)) < MIN_POINTS:
        return None
    candidates = compare_families(n, per_s, weighting=weighting)
    near = [found.fit for found in candidates if found.delta <= UNDECIDED]
    usl = fit_scalability(n, per_s, family="usl", weighting=weighting)
    intervals = bootstrap_scalability(usl, np.random.default_rng(len(n)))
    law = min(near, key=lambda fit: sum(FREE[fit.family]))
    top = intervals.peak_n.high
    if top is not None and top <= max(n) and _falls(per_s, ends):
        law = next(found.fit for found in candidates if found.fit.family == "usl")
    return Scaling(candidates, usl, intervals, law)


def _falls(per_s: Sequence[float], ends: Sequence[tuple[float | None, float | None]]) -> bool:
    best = max(range(len(per_s)), key=lambda place: per_s[place])
    low, high = (ends[best][0], ends[-1][1]) if ends else (None, None)
    if low is not None and high is not None:
        return high < low
    return per_s[-1] < (1 - CLEAR_FALL) * per_s[best]


def needed(found: Scaling | None, points: Sequence[tuple[float, float]], wanted_per_s: float) -> Needed:
    """How many are needed for so much: by the law, or else the smallest measured size that is enough.

    Args: points: (size, throughput that is certain there), such as the lower end of a capacity.
    """
    largest = max(size for size, _ in points)
    if found is None:
        enough = [size for size, per_s in points if per_s >= wanted_per_s]
        return Needed(math.ceil(min(enough)) if enough else None, fitted=False, extrapolated=False)
    curve = found.law.curve
    top = curve.peak_per_s if math.isfinite(curve.peak_n) else curve.roof_per_s * (1 - 1e-9)
    if wanted_per_s > top:
        return Needed(None, fitted=True, extrapolated=True)
    size = math.ceil(curve.n_at_throughput(wanted_per_s) - 1e-9)
    return Needed(max(1, size), fitted=True, extrapolated=size > largest)
