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

from doorbuster.stats.design_effect import MIN_BLOCKS, design_effect, effective_n, planned_effective_n

CONFIDENCE = 0.95
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


def clustered_proportion(
    successes: Sequence[int] | NDArray[np.int64],
    totals: Sequence[int] | NDArray[np.int64],
    *,
    confidence: float = CONFIDENCE,
) -> ProportionEstimate:
    """Interval for a proportion whose trials are correlated within time blocks.

    The exact interval of `clopper_pearson` with the effective number of trials in place of n.

    Args: successes, totals: shape (blocks,), in order of time; blocks without trials are left out.
    Source: Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data", Survey Methodology 24, section 2.
    """
    k = np.asarray(successes, np.float64)
    n = np.asarray(totals, np.float64)
    total, positive = int(n.sum()), int(k.sum())
    _check(positive, total)
    if total == 0:
        return ProportionEstimate(0, 0, None, 0.0, 1.0, 0.0)
    blocks = int(np.count_nonzero(n))
    if blocks < 2:
        # One block does not show how blocks differ: it counts as a single trial.
        independent = 1.0
    else:
        independent = effective_n(total, blocks, design_effect(k, n), confidence=confidence)
    ratio = positive / total
    low, high = _beta_bounds(ratio * independent, independent, confidence)
    return ProportionEstimate(positive, total, ratio, low, high, independent)


def timed_proportion(
    successes: Sequence[int] | NDArray[np.int64],
    totals: Sequence[int] | NDArray[np.int64],
    *,
    confidence: float = CONFIDENCE,
) -> ProportionEstimate:
    """Interval for a proportion whose trials are correlated in time and may follow a planned trend.

    As `clustered_proportion`, with the scatter measured between adjacent blocks. With trials in fewer than
    ten blocks the scatter is unknown, and trials count as independent.

    Args: successes, totals: shape (blocks,), in order of time; blocks without trials are left out.
    """
    k = np.asarray(successes, np.float64)
    n = np.asarray(totals, np.float64)
    total, positive = int(n.sum()), int(k.sum())
    if int(np.count_nonzero(n)) < MIN_BLOCKS:
        return clopper_pearson(positive, total, confidence=confidence)
    _check(positive, total)
    independent = planned_effective_n(k, n, confidence=confidence)
    ratio = positive / total
    low, high = _beta_bounds(ratio * independent, independent, confidence)
    return ProportionEstimate(positive, total, ratio, low, high, independent)


def in_time_blocks(
    counts: Iterable[tuple[int, int, int]], *, most: int = TIME_BLOCKS
) -> tuple[tuple[int, int], ...]:
    """(k, n) of at most `most` equal blocks of time, from unordered (second, successes, trials)."""
    seen = np.array(sorted(counts), np.int64).reshape(-1, 3)
    if not seen.size:
        return ()
    since = seen[:, 0] - seen[0, 0]
    width = int(since[-1]) // most + 1
    k, n = (np.bincount(since // width, weights=seen[:, column]).astype(int).tolist() for column in (1, 2))
    return tuple(zip(k, n, strict=True))


def _beta_bounds(successes: float, n: float, confidence: float) -> list[float]:
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return [low, high]


def _check(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in 0..n (got {successes} of {n})")
