"""End of the warm-up by MSER, the truncation that minimises the standard error of the mean.

Rules of this module:
- A series that never settles has no steady state: the result is None, not half of the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SteadyState:
    """`warm_up`: leading observations to leave out; None when no steady state was reached.

    `batch` is the first batch kept.
    """

    warm_up: int | None
    batch: int


def mser(values: Sequence[float] | NDArray[np.float64], *, batch_size: int = 5) -> SteadyState:
    """End of the warm-up of a series, by the marginal standard error rule (MSER-5 with batches of five).

    d* = argmin over d <= n/2 of  sum over j > d of (Z_j - mean of Z_j, j > d)^2 / (n - d)^2
    Z_j means of consecutive batches, n batches, d batches left out. d* at n/2: no steady state.

    Args: values: in order of time, at least four batches; an incomplete last batch is left out.
    Source: White, Cobb and Spratt (2000), "A comparison of five steady-state truncation heuristics for
        simulation", Winter Simulation Conference; Franklin and White (2008).
    """
    series = np.asarray(values, np.float64)
    n = series.size // batch_size
    if n < 4:
        raise ValueError(f"MSER needs at least {4 * batch_size} observations (got {series.size})")
    batches = series[: n * batch_size].reshape(n, batch_size).mean(axis=1)
    # Sums of deviations from the overall mean, from each batch to the end: small numbers lose less precision.
    deviations = batches - batches.mean()
    sums = np.cumsum(deviations[::-1])[::-1]
    squares = np.cumsum((deviations**2)[::-1])[::-1]
    left = n - np.arange(n)
    spread = np.maximum(squares - sums**2 / left, 0.0) / left.astype(np.float64) ** 2
    d = int(np.argmin(spread[: n // 2 + 1]))
    settled = d < n // 2
    return SteadyState(
        warm_up=d * batch_size if settled else None,
        batch=d,
    )
