"""Little's law and the utilisation law on recorded data: a check that counting and timing agree.

Sources: Little (1961), "A proof for the queuing formula L = lambda W", Operations Research 9; Denning and
Buzen (1978), "The operational analysis of queueing network models", ACM Computing Surveys 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LITTLE_TOLERANCE_RATIO = 0.02


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Little's law on recorded data: `in_system` as counted, `expected` = rate * time, their difference.

    `difference_ratio` is (in_system - expected) / expected; None when the system was empty.
    """

    in_system: float
    expected: float
    rate_per_s: float
    mean_time_s: float
    difference_ratio: float | None
    agrees: bool


def check_little(
    in_system: Sequence[float] | NDArray[np.float64],
    *,
    finished: int,
    time_sum_s: float,
    window_s: float,
    tolerance_ratio: float = LITTLE_TOLERANCE_RATIO,
) -> LittleCheck:
    """Whether the number counted in the system equals the rate times the mean time spent there.

    Counting and timing are recorded by different code, so a disagreement beyond the edge effect of the
    window is an error in the data. The edge effect is at most (in the system at both ends) / (arrivals in the
    window); use a window much longer than one visit.

    Args:
        in_system: number in the system, sampled at equal steps.
        finished: number that left in the window; time_sum_s: the sum of their times in the system.
    """
    if window_s <= 0 or finished < 0:
        raise ValueError(f"needs a window above 0 s and a count >= 0 (got {window_s} s, {finished})")
    counted = float(np.mean(np.asarray(in_system, np.float64))) if len(in_system) else 0.0
    rate = finished / window_s
    mean_time = time_sum_s / finished if finished else 0.0
    expected = mean_in_system(rate, mean_time)
    difference = (counted - expected) / expected if expected > 0 else None
    agrees = abs(difference) <= tolerance_ratio if difference is not None else counted == 0
    return LittleCheck(counted, expected, rate, mean_time, difference, agrees)


def mean_in_system(rate_per_s: float, response_s: float) -> float:
    """Little's law: N = X R."""
    return rate_per_s * response_s


def utilisation_ratio(rate_per_s: float, demand_s: float, servers: int = 1) -> float:
    """Utilisation law: each of c servers is busy a share X D / c of the time."""
    return rate_per_s * demand_s / servers
