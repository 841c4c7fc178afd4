"""Shares (success rates, error rates) with intervals that hold at small counts and at 0 % and 100 %.

Rules of this module:
- No trials is None and the whole range 0..1, never 0 %.
- Requests of one second share the fate of that second: the plain intervals are for independent trials,
  `clustered_proportion` for what a load test sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.stats.design_effect import MIN_BLOCKS, design_effect, effective_n, planned_effective_n

CONFIDENCE = 0.95
TIME_BLOCKS = 30  # each is then long against the memory of a queue in a run of minutes


@dataclass(frozen=True, slots=True)
class ProportionEstimate:
    """`successes` of `n`, the share of them, and the interval low..high; all shares are 0..1.

    `effective_n` is the number of independent trials that would be as informative; n when they were.
    """

    successes: int
    n: int
    ratio: float | None
    low: float
    high: float
    effective_n: float


def clopper_pearson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> ProportionEstimate:
    """Exact interval: covers the true share at least as often as it claims, whatever the share and n.

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
    """Interval for a share whose trials come in blocks of time that fare alike.

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
        # One block tells nothing about how blocks differ: it counts as a single trial.
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
    """Interval for a share whose trials follow a plan: neighbours fare alike, and the plan may change.

    As `clustered_proportion`, with the scatter measured between neighbouring blocks. With trials in fewer
    than ten blocks nothing can be said about scatter; they are then taken as independent.

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
    """(k, n) of at most `most` equal blocks of time, from (second, successes, trials) in any order."""
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
