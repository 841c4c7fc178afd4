"""Scalability from throughputs at growing load or size: the best law, its peak, the size needed for a target.

Rules of this module:
- With fewer than six different sizes nothing is fitted (`usl`); the measured points still answer.
- The law is the simplest that is not clearly worse: within 2 of the best AICc, with the fewest parameters.
  With few points AICc penalises a third parameter more than any fall of throughput can outweigh; so when
  throughput certainly falls, the full law is used, because the other two never fall.
- Throughput certainly falls when the interval of the peak lies within the measured range, and the largest
  size had less throughput than the best one: beyond both intervals, or by 5 % without intervals.
- Everything beyond the largest measured size is marked as extrapolated.
- A needed size assumes that throughput follows the law: its interval comes from refitting resampled residuals
  (bootstrap) and does not include deviations from the law beyond the measured range.

Source: Burnham and Anderson (2002), section 2.6 (a difference below 2 is not conclusive); the rest in `usl`.
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
    CandidateModel,
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
    """The compared laws, the selected one, and the uncertainty of the full one.

    `usl` is the three-parameter fit with `intervals` from the bootstrap; `law` the selected fit.
    """

    candidates: tuple[CandidateModel, ...]
    usl: ScalabilityFit
    intervals: BootstrapIntervals
    law: ScalabilityFit


@dataclass(frozen=True, slots=True)
class RequiredSize:
    """The smallest whole size whose throughput reaches a target; None when none does.

    `fitted`: taken from the law, not from a measured point. `extrapolated`: beyond the largest measured size.
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
    """Fits the laws to the points; None with fewer than six different sizes.

    Args: n: ascending; ends: the 95 % interval of each throughput, where known.
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


def needed(found: Scaling | None, points: Sequence[tuple[float, float]], wanted_per_s: float) -> RequiredSize:
    """The size needed for a target throughput: by the law, else the smallest measured size that suffices.

    Args: points: (size, certain throughput), such as the lower end of a capacity.
    """
    largest = max(size for size, _ in points)
    if found is None:
        enough = [size for size, per_s in points if per_s >= wanted_per_s]
        return RequiredSize(math.ceil(min(enough)) if enough else None, fitted=False, extrapolated=False)
    curve = found.law.curve
    top = curve.peak_per_s if math.isfinite(curve.peak_n) else curve.asymptote_per_s * (1 - 1e-9)
    if wanted_per_s > top:
        return RequiredSize(None, fitted=True, extrapolated=True)
    size = math.ceil(curve.n_at_throughput(wanted_per_s) - 1e-9)
    return RequiredSize(max(1, size), fitted=True, extrapolated=size > largest)
