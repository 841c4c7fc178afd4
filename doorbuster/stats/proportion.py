"""Proportions (success rates, error rates) with intervals valid for small counts, 0 % and 100 %.

Rules of this module:
- Without trials the ratio is None and the interval 0..1, never 0 %.
- `clopper_pearson` is for independent trials; in a load test trials close in time are correlated, so use
  `clustered_proportion` or `timed_proportion`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.stats.design_effect import (
    CONFIDENCE,
    MIN_BLOCKS,
    design_effect,
    effective_n,
    planned_effective_n,
)

Counts = Sequence[int] | NDArray[np.int64]
TIME_BLOCKS = 30  # in a run of minutes, each is then much longer than a queue's memory


@dataclass(frozen=True, slots=True)
class ProportionEstimate:
    """`successes` of `n`, their ratio, and the interval low..high; all in 0..1.

    `effective_n` is the number of independent trials that would be as informative.
    """

    successes: int
    n: int
    ratio: float | None
    low: float
    high: float
    effective_n: float


def clopper_pearson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> ProportionEstimate:
    """Exact interval: its coverage is at least the confidence, for every ratio and n.

    low = B(alpha/2; k, n-k+1), high = B(1-alpha/2; k+1, n-k), B the quantile of the beta distribution,
    k successes of n, alpha = 1 - confidence.
    Source: Clopper and Pearson (1934), "The use of confidence or fiducial limits", Biometrika 26.
    """
    _check(successes, n)
    bounds = _beta_bounds(successes, n, confidence)
    return ProportionEstimate(successes, n, successes / n if n else None, bounds[0], bounds[1], float(n))


def clustered_proportion(successes: Counts, totals: Counts) -> ProportionEstimate:
    """Interval for a proportion whose trials are correlated within time blocks.

    The exact interval of `clopper_pearson` with the effective number of trials in place of n.

    Args: successes, totals: shape (blocks,), in order of time; blocks without trials are left out.
    Source: Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data", Survey Methodology 24, section 2.
    """
    k = np.asarray(successes, np.float64)
    n = np.asarray(totals, np.float64)
    blocks = int(np.count_nonzero(n))
    # One block does not show how blocks differ: it counts as a single trial.
    worth = 1.0 if blocks < 2 else effective_n(int(n.sum()), blocks, design_effect(k, n))
    return _with_effective_n(k, n, worth)


def timed_proportion(successes: Counts, totals: Counts) -> ProportionEstimate:
    """Interval for a proportion whose trials are correlated in time and may follow a planned trend.

    As `clustered_proportion`, with the scatter measured between adjacent blocks. With trials in fewer than
    ten blocks the scatter is unknown, and trials count as independent.

    Args: successes, totals: shape (blocks,), in order of time; blocks without trials are left out.
    """
    k = np.asarray(successes, np.float64)
    n = np.asarray(totals, np.float64)
    if int(np.count_nonzero(n)) < MIN_BLOCKS:
        return clopper_pearson(int(k.sum()), int(n.sum()))
    return _with_effective_n(k, n, planned_effective_n(k, n))


def in_time_blocks(counts: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, int], ...]:
    """(k, n) of at most `TIME_BLOCKS` equal blocks of time, from unordered (second, successes, trials)."""
    seen = np.array(sorted(counts), np.int64).reshape(-1, 3)
    if not seen.size:
        return ()
    since = seen[:, 0] - seen[0, 0]
    width = int(since[-1]) // TIME_BLOCKS + 1
    k, n = (np.bincount(since // width, weights=seen[:, column]).astype(int).tolist() for column in (1, 2))
    return tuple(zip(k, n, strict=True))


def _with_effective_n(k: NDArray[np.float64], n: NDArray[np.float64], worth: float) -> ProportionEstimate:
    """The exact interval with `worth` trials in place of n."""
    total, positive = int(n.sum()), int(k.sum())
    _check(positive, total)
    if total == 0:
        return ProportionEstimate(0, 0, None, 0.0, 1.0, 0.0)
    ratio = positive / total
    low, high = _beta_bounds(ratio * worth, worth, CONFIDENCE)
    return ProportionEstimate(positive, total, ratio, low, high, worth)


def _beta_bounds(successes: float, n: float, confidence: float) -> list[float]:
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return [low, high]


def _check(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in 0..n (got {successes} of {n})")
