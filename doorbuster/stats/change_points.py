"""Change points of a series: where its level changed for good.

Two steps:
1. `find_change_points` splits at the maximum of the energy statistic Q in sliding windows, keeps splits that
   a t-test finds significant at ten times `max_p`, and then removes the weakest until all are significant at
   `max_p` and larger than `min_magnitude`. At the same settings it finds the points of Apache Otava.
2. `confirm` removes points that a quiet series of the same autocorrelation would show, too: it counts
   only as many runs as are worth independent ones, and allows a false point in at most 5 % of quiet series,
   however long they are.

    Q(tau, kappa) = 2/(n+m) [ sum |x_i - y_j| - (m/(n-1)) sum |x_i - x_k| - (n/(m-1)) sum |y_j - y_k| ]

x: the n values before tau, y: the m values from tau up to kappa; each pair counts once.

Source: Matteson and James (2014), "A nonparametric approach for multiple change point analysis of
multivariate data", JASA 109, equations 5 to 9; Fleming et al. (2023), "Hunter: using change point detection
to hunt for performance regressions", ICPE (windows, t-test, merge step); Chakar et al. (2017), "A robust
approach for estimating change-points in the mean of an AR(1) process", Bernoulli 23 (autocorrelation from
differences).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

WINDOW = 50
MAX_P = 0.001
# The share of quiet series that may show a point: 5 % less a margin, as the autocorrelation is estimated.
FALSE_SERIES_RATIO = 0.02
MIN_RUNS = 3  # on each side of a confirmed point: one or two odd runs are outliers
_BATCH = 4  # windows examined at once


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The level changed between the values `index` - 1 and `index`.

    `p`: of the t-test between the stretches on either side. `mean_before`, `mean_after`: their means.
    """

    index: int
    p: float
    mean_before: float
    mean_after: float

    @property
    def ratio(self) -> float | None:
        """mean_after / mean_before; None if either is 0 or they differ in sign."""
        if self.mean_before * self.mean_after <= 0:
            return None
        return self.mean_after / self.mean_before

    @property
    def magnitude(self) -> float:
        """The larger of the relative changes forwards and backwards; infinite from or to 0."""
        if self.mean_before == self.mean_after:
            return 0.0
        if self.mean_before == 0 or self.mean_after == 0:
            return math.inf
        return max(
            abs(self.mean_after / self.mean_before - 1.0), abs(self.mean_before / self.mean_after - 1.0)
        )


def find_change_points(
    values: Sequence[float] | Values,
    *,
    window: int = WINDOW,
    max_p: float = MAX_P,
    min_magnitude: float = 0.0,
) -> tuple[ChangePoint, ...]:
    """The change points of a series, as Apache Otava finds them.

    Args: values: shape (n,), finite, in order of time; window: length of the sliding windows, at least 2;
        max_p: significance of each point, 0..1; min_magnitude: smallest relative change.
    """
    if window < 2:
        raise ValueError(f"window must be at least 2 (got {window})")
    series = np.asarray(values, np.float64)
    if not np.isfinite(series).all():
        raise ValueError("values must be finite")
    weak_p = max_p * 10 if max_p < 0.05 else max_p * 2 if max_p < 0.5 else max_p
    candidates = sorted(set(_split_in_windows(series, window, weak_p)))
    return _merge(series, candidates, max_p, min_magnitude)


def permutation_change_points(
    values: Sequence[float], *, max_p: float, permutations: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """The places where a series changes, by the permutation test of Matteson and James, most distinct first.

    The test shuffles the values between two neighbouring places and compares the greatest Q with the observed
    one. It takes seconds where `find_change_points` takes milliseconds.
    """
    series = np.asarray(values, np.float64)
    found: list[int] = []
    while True:
        ends = [0, *sorted(found), len(series)]
        parts = [(series[first:end], first) for first, end in pairwise(ends) if end - first > 1]
        if not parts:
            return tuple(found)
        splits = [_best_split(part) for part, _ in parts]
        best = max(range(len(parts)), key=lambda at: splits[at][1])
        q = splits[best][1]
        greater = sum(
            max(_best_split(rng.permutation(part))[1] for part, _ in parts) >= q for _ in range(permutations)
        )
        if (greater + 1) / (permutations + 1) > max_p or q <= 0:
            return tuple(found)
        found.append(parts[best][1] + splits[best][0])


def confirm(
    values: Sequence[float] | Values,
    points: Sequence[ChangePoint],
    *,
    max_p: float = MAX_P,
    series_together: int = 1,
) -> tuple[ChangePoint, ...]:
    """The points that autocorrelation and the number of places do not explain; the weakest are removed first.

    The p of a confirmed point is that of the t-test with effective sample sizes.

    Args: series_together: the number of series that are searched; 5 % holds for all of them together.
    """
    series = np.asarray(values, np.float64)
    phi = autocorrelation(series, [point.index for point in points])
    worth = (1.0 - phi) / (1.0 + phi)
    allowed = min(max_p, FALSE_SERIES_RATIO / (_comparisons(len(series)) * series_together))
    places = [point.index for point in points]
    while places:
        found = [_strict_point(series, ends, worth) for ends in _neighbours(places, len(series))]
        weakest = max(range(len(found)), key=lambda at: found[at].p)
        if found[weakest].p <= allowed:
            return tuple(found)
        del places[weakest]
    return ()


def _comparisons(n: int) -> float:
    """The number of tests that a search of n values stands for: each place, with lengths in powers of two."""
    return max(1, n - 1) * max(1.0, 1.0 + math.log2(n / WINDOW))


def autocorrelation(values: Sequence[float] | Values, places: Sequence[int] = ()) -> float:
    """Lag-1 autocorrelation, 0 to 0.95, from differences that do not reach across one of `places`.

        E (x_{i+2} - x_i)^2 / E (x_{i+1} - x_i)^2 = 1 + phi for an AR(1) process

    0 for fewer than 8 values.
    """
    series = np.asarray(values, np.float64)
    n = len(series)
    if n < 8:
        return 0.0
    level = np.searchsorted(np.asarray(places), np.arange(n), side="right")
    near, far = (np.square(series[lag:] - series[:-lag])[level[lag:] == level[:-lag]] for lag in (1, 2))
    if len(far) < 4 or not near.any():
        return 0.0
    phi = float(far.mean() / near.mean()) - 1.0
    # Kendall (1954): an estimate from n values is biased by about -(1 + 3 phi) / n.
    return min(0.95, max(0.0, (n * phi + 1.0) / (n - 3.0)))


def best_splits(windows: Values) -> NDArray[np.int64]:
    """The index of the first value after the best split of each window; shape (windows, n) to (windows,)."""
    count, n = windows.shape
    distances = np.abs(windows[:, :, None] - windows[:, None, :])
    sums = np.zeros((count, n + 1, n + 1))
    below = _triangle(n)
    sums[:, 1:, 1:] = below @ distances @ below.T  # cumulative sums along both axes, faster than `cumsum`
    diagonal = np.diagonal(sums, axis1=1, axis2=2)
    between, before, whole, outside = _coefficients(n)
    q = between * sums[:, 1:n, 2:]
    q -= before * diagonal[:, 1:n, None]
    q -= whole * diagonal[:, None, 2:]
    q += outside
    places: NDArray[np.int64] = np.argmax(q.reshape(count, -1), axis=1) // (n - 1) + 1
    return places


@cache
def _triangle(n: int) -> Values:
    return np.tri(n)


@cache
def _coefficients(n: int) -> tuple[Values, Values, Values, Values]:
    """The weights of Q for every tau (1 to n-1) and kappa (2 to n), with -inf where kappa <= tau."""
    tau, kappa = np.arange(1, n)[:, None], np.arange(2, n + 1)[None, :]
    inside = kappa > tau
    m = np.where(inside, kappa - tau, 1)
    pair = 2.0 / kappa
    left = np.divide(2.0 * m, kappa * (tau - 1), out=np.zeros(m.shape), where=tau > 1)
    right = np.divide(2.0 * tau, kappa * (m - 1.0), out=np.zeros(m.shape), where=m > 1)
    between = np.where(inside, pair + right, 0.0)
    before = np.where(inside, pair + left / 2.0 + right / 2.0, 0.0)
    whole = np.where(inside, right / 2.0, 0.0)
    return between, before, whole, np.where(inside, 0.0, -np.inf)


def _split_in_windows(series: Values, window: int, max_p: float) -> list[int]:
    """The splits of every window; the next window starts at the last split, at least half a window on."""
    n, step = len(series), window // 2
    found: list[int] = []
    start = 0
    while start < n:
        starts = start + step * np.arange(min(_BATCH, -(-(n - start) // step)))
        quiet = _quiet_windows(series, starts, window, max_p)
        if quiet.all():
            start = int(starts[-1]) + step
            continue
        start = int(starts[int(np.argmin(quiet))])
        splits = _split(series[start : start + window], max_p)
        found += [start + at for at in splits]
        start = max(start + (splits[-1] if splits else 0), start + step)
    return found


def _quiet_windows(series: Values, starts: NDArray[np.int64], window: int, max_p: float) -> NDArray[np.bool_]:
    """Whether the best split of each window is not significant; a window at the end may be shorter."""
    quiet = np.ones(len(starts), np.bool_)
    whole = int(np.sum(starts + window <= len(series)))
    if whole:
        windows = np.lib.stride_tricks.sliding_window_view(series, window)[starts[:whole]]
        quiet[:whole] = _first_split_p(windows) > max_p
    for place in range(whole, len(starts)):
        rest = series[starts[place] :]
        quiet[place] = len(rest) < 2 or bool(_first_split_p(rest[None, :])[0] > max_p)
    return quiet


def _first_split_p(windows: Values) -> Values:
    """The p of the t-test at the best split of each window; shape (windows, n) to (windows,)."""
    from scipy.special import stdtr

    n = windows.shape[1]
    if n <= 2:
        return np.ones(len(windows))
    at = best_splits(windows)[:, None]
    left = np.arange(n) < at
    size = np.stack([at[:, 0], n - at[:, 0]])
    mean = np.stack([(windows * side).sum(axis=1) for side in (left, ~left)]) / size
    off = windows - np.where(left, mean[0][:, None], mean[1][:, None])
    variance = np.stack([(off * off * side).sum(axis=1) for side in (left, ~left)]) / size
    pooled = ((size - 1) * variance).sum(axis=0) / (n - 2) * (1 / size).sum(axis=0)
    gap = np.abs(mean[0] - mean[1])
    t = np.divide(gap, np.sqrt(pooled), out=np.where(gap > 0, np.inf, 0.0), where=pooled > 0)
    found: Values = 2.0 * stdtr(n - 2, -t)
    return found


def _split(window: Values, max_p: float) -> list[int]:
    """Splits a window, then its parts, at the greatest Q until a split is not significant."""
    places: list[int] = []
    splits: dict[tuple[int, int], tuple[int, float]] = {}
    while True:
        parts = [part for part in pairwise([0, *places, len(window)]) if part[1] - part[0] > 1]
        for first, end in parts:
            if (first, end) not in splits:
                splits[first, end] = _best_split(window[first:end])
        if not parts:
            return places
        first, end = max(parts, key=lambda part: splits[part][1])
        at = first + splits[first, end][0]
        if t_test_p(window[first:at], window[at:end]) > max_p:
            return places
        places = sorted([*places, at])


def _best_split(part: Values) -> tuple[int, float]:
    """The best split of a part and its Q."""
    n = len(part)
    sums = np.zeros((n + 1, n + 1))
    below = _triangle(n)
    sums[1:, 1:] = below @ np.abs(part[:, None] - part[None, :]) @ below.T
    between, before, whole, outside = _coefficients(n)
    diagonal = np.diagonal(sums)
    q = between * sums[1:n, 2:] - before * diagonal[1:n, None] - whole * diagonal[None, 2:] + outside
    place = int(np.argmax(q))
    return place // (n - 1) + 1, float(q.flat[place])


def _merge(series: Values, places: list[int], max_p: float, min_magnitude: float) -> tuple[ChangePoint, ...]:
    """Remove the least significant point, or else the smallest one, until all are as required."""
    found = [_point(series, ends) for ends in _neighbours(places, len(series))]
    while found:
        weakest = max(range(len(found)), key=lambda at: found[at].p)
        if found[weakest].p < max_p:
            weakest = min(range(len(found)), key=lambda at: found[at].magnitude)
            if found[weakest].magnitude > min_magnitude:
                return tuple(found)
        del found[weakest]
        ends = _neighbours([point.index for point in found], len(series))
        # Only the points after the removed one are tested again, so that the result equals Otava's.
        for at in (weakest, weakest + 1):
            if 0 <= at < len(found):
                found[at] = _point(series, ends[at])
    return ()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A place and the places before and after it."""

    first: int
    at: int
    end: int


def _neighbours(places: Sequence[int], n: int) -> list[_Stretch]:
    ends = [0, *places, n]
    return [_Stretch(*three) for three in zip(ends, ends[1:], ends[2:], strict=False)]


def _point(series: Values, where: _Stretch) -> ChangePoint:
    left, right = series[where.first : where.at], series[where.at : where.end]
    return ChangePoint(where.at, t_test_p(left, right), float(left.mean()), float(right.mean()))


def _strict_point(series: Values, where: _Stretch, worth: float) -> ChangePoint:
    left, right = series[where.first : where.at], series[where.at : where.end]
    p = 1.0
    if min(len(left), len(right)) >= MIN_RUNS:
        p = _effective_t_test_p(left, right, worth)
    return ChangePoint(where.at, p, float(left.mean()), float(right.mean()))


def t_test_p(left: Values, right: Values) -> float:
    """Two-sided p of Student's t-test with the population variances (divided by n), as Otava uses it.

    1 when both are constant and equal, 0 when they are constant and differ.
    """
    n, m = len(left), len(right)
    if n + m <= 2:
        return 1.0
    means = float(left.sum()) / n, float(right.sum()) / m
    squares = _squares(left, means[0]), _squares(right, means[1])
    pooled = ((n - 1) * squares[0] / n + (m - 1) * squares[1] / m) / (n + m - 2)
    return _two_sided_p(means[0] - means[1], pooled * (1 / n + 1 / m), n + m - 2)


def _squares(part: Values, mean: float) -> float:
    off = part - mean
    return float(off @ off)


def _effective_t_test_p(left: Values, right: Values, worth: float) -> float:
    """Two-sided p of Student's t-test in which each value counts as `worth` independent ones."""
    squares = float(left.var()) * len(left) + float(right.var()) * len(right)
    df = len(left) + len(right) - 2
    variance = squares / df * (1 / len(left) + 1 / len(right)) / worth
    return _two_sided_p(float(left.mean() - right.mean()), variance, max(1.0, worth * df))


def _two_sided_p(difference: float, variance: float, df: float) -> float:
    from scipy.special import stdtr

    if variance <= 0:
        return 1.0 if difference == 0 else 0.0
    return float(2.0 * stdtr(df, -abs(difference) / math.sqrt(variance)))
