"""Index of dispersion of counts around a slowly changing level: variance divided by mean.

Source: D. R. Cox, P. A. W. Lewis (1966), "The Statistical Analysis of Series of Events", section 4.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MIN_WINDOWS = 30
_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class DispersionEstimate:
    """The index with its 95 % interval, from windows of `window_s` seconds; None where they are too few."""

    window_s: float
    index: float | None
    low: float | None
    high: float | None
    windows: int


def dispersion(counts: NDArray[np.int64], *, window_s: float, level_windows: int) -> DispersionEstimate:
    """The index of counts in consecutive windows.

    The level is the mean of the `level_windows` windows around each one, L; the squared distance from it is
    divided by 1 - 1/L, because the window itself is part of its level. The interval is Student's t over
    consecutive blocks of windows, whose indices are nearly independent.
    """
    from scipy.special import stdtrit

    n = counts.size
    length = min(level_windows, n) // 2 * 2 - 1
    if n < MIN_WINDOWS or length < 3 or not counts.any():
        return DispersionEstimate(window_s, None, None, None, n)
    sums = np.concatenate(([0], np.cumsum(counts, dtype=np.float64)))
    half = length // 2
    place = np.arange(n)
    low, high = np.maximum(place - half, 0), np.minimum(place + half + 1, n)
    around = (high - low).astype(np.float64)
    level = (sums[high] - sums[low]) / around
    squares = (counts - level) ** 2 / (1 - 1 / around)
    blocks = min(_BLOCKS, n // 10)
    edges = np.linspace(0, n, blocks + 1).astype(int)
    parts = [(squares[a:b].sum(), level[a:b].sum()) for a, b in pairwise(edges.tolist())]
    square, mean = np.array([part for part in parts if part[1] > 0]).T
    index = float(square.sum() / mean.sum())
    if mean.size < 3:
        return DispersionEstimate(window_s, index, None, None, n)
    error = math.sqrt(mean.size / (mean.size - 1) * float(((square - index * mean) ** 2).sum())) / mean.sum()
    reach = float(stdtrit(mean.size - 1, 0.975)) * float(error)
    return DispersionEstimate(window_s, index, max(0.0, index - reach), index + reach, n)
