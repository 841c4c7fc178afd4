"""One threshold on one load step: how far from its bound, how sure, and whether the queue was growing.

Every threshold becomes a *level*: the logarithm of what was observed over what is allowed. 0 is the bound,
below 0 keeps the promise, ln 2 is twice too much. "p(99)<200ms" is read as "at most 1 % slower than 200 ms",
so that a percentile, a share and a mean are the same kind of thing, and the answer is about the bound itself
and not about a percentile far from it.

Rules of this module:
- Neighbouring requests fare alike. Standard errors come from seconds, never from counts of requests: their
  scatter, times how long a cluster lasts by an autoregressive process of first order. Few blocks of time
  (batch means) see less than half of the variance of a busy queue of many servers, this sees 80 to 120 %.
- The correlation of a short series is estimated too low, by (1 + 4 r) / n; that is put right.
- A tail that is exponential as far as the data can tell is read as one: P(T > t) = P(T > u) e^-(t-u)/m, with
  m the mean excess over u, beyond which lie up to 20 times as many requests as may lie beyond t. This needs
  40 % less time for the same interval; for M/M/c it moves the answer by less than 1.5 %, usually by less
  than 0.3 %. Where the plain count contradicts the tail, the count is used.
- A request that was given up has no time: it counts as beyond the bound, and no tail is read off then.
- Nothing seen beyond the bound is not a level of minus infinity: `level` is None, with the block count.

Sources: Fishman (1971), "Estimating sample size in computing simulation experiments", Management Science 18
(autoregressive error of a mean); Kendall (1954) and Marriott and Pope (1954), Biometrika 41 (bias of r);
Pickands (1975), Annals of Statistics 3, and
Davison and Smith (1990), JRSS B 52 (excesses over a threshold); Kleinrock (1975), section 5.12, and Kingman
(1970) (waiting times have exponential tails when services have).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["counted", "tail"]

BLOCKS = 12  # wanted per group of load steps at one rate
MIN_BLOCKS = 5
MIN_BLOCK_S = 2
TAIL_FACTOR = 20.0  # requests beyond u for each that may lie beyond the bound, at most
MIN_TAIL_FACTOR = 3.0
MAX_TAIL_RATIO = 0.25  # more of the requests than this are no tail
MIN_IN_TAIL = 40
MAX_CORRELATION = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """Response times of a load step against "p(100 - 100 limit_ratio) < bound".

    `second`, `value` and `count` are parallel: `count` requests that were due in `second` (0 is the first
    after settling) took `value` ms; `bound` is in ms too. `abandoned` counts those without an answer.
    """

    name: str
    bound: float
    limit_ratio: float
    second: Ints
    value: Floats
    count: Floats
    abandoned: Floats

    def __post_init__(self) -> None:
        if not 0 < self.limit_ratio < 1:
            raise ValueError(f"{self.name}: limit_ratio must be between 0 and 1 (got {self.limit_ratio})")


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A sum over a count, second by second, that must stay at or below `limit`.

    Shares: failures over tries. Means: summed times over requests. "rate>=99%" is bad ones over all, 0.01.
    """

    name: str
    limit: float
    sums: Floats
    counts: Floats

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"{self.name}: limit must be > 0; use Count for what must not happen at all")


@dataclass(frozen=True, slots=True)
class Count:
    """Something that may happen at most `limit` times on a load step, such as an oversold unit."""

    name: str
    limit: float
    count: float


Indicator = Latencies | Ratio | Count


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """ln(observed / allowed), its standard error and what they rest on.

    `level` is None when nothing bad was seen, or nothing at all (`n` 0). `check_z` compares the level read
    off the tail with the plain count: beyond +-2.6 the tail is no exponential one.
    """

    name: str
    level: float | None
    se: float
    degrees_of_freedom: int
    n: float
    seconds: float
    method: Method
    check_z: float = 0.0

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of the level."""
        return -math.inf if self.level is None else self.level - self._half

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval of the level; 0 bad ones of n stand for at most 3."""
        if self.level is None:
            return self.se
        return self.level + self._half

    @property
    def _half(self) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(max(1, self.degrees_of_freedom), 0.975)) * self.se


def evaluate(parts: Sequence[Indicator], seconds: Sequence[int], *, tails: bool = True) -> LevelEstimate:
    """One threshold on all load steps of one rate together.

    Args: parts: the same threshold on each load step; seconds: how long each was observed, after settling.
    """
    first = parts[0]
    if isinstance(first, Count):
        return _evaluate_count([part for part in parts if isinstance(part, Count)], seconds)
    shape = _Time(tuple(seconds))
    if isinstance(first, Ratio):
        ratios = [part for part in parts if isinstance(part, Ratio)]
        over = shape.join([part.sums for part in ratios])
        total = shape.join([part.counts for part in ratios])
        return _counted(first.name, over, total, first.limit, shape)
    return _evaluate_latencies([part for part in parts if isinstance(part, Latencies)], shape, tails=tails)


def queue_grows(in_system: Sequence[float] | Floats, rate_per_s: float) -> bool:
    """Whether the number in the shop was rising for good: it comes faster than the shop works it off.

    The rise per stretch of time, over ten stretches, must be above chance (t test, one in a thousand) and add
    up to more than 0.1 % of the arrivals and to half as many again as at the start. Steps of a stationary
    queue cancel out, which makes the test strict for it, while a queue without noise is found at once.
    """
    from scipy.special import stdtrit

    series = np.asarray(in_system, np.float64)
    if series.size < 10:
        return False
    means = np.array([part.mean() for part in np.array_split(series, 10)])
    steps = np.diff(means)
    rise = float(steps.mean())
    error = float(steps.std(ddof=1)) / math.sqrt(steps.size)
    arrived = rate_per_s * series.size
    material = means[-1] - means[0] > max(3.0, 0.001 * arrived, 0.5 * means[0])
    return bool(material and rise > float(stdtrit(steps.size - 1, 0.999)) * error)


def mean_error(by_second: Floats) -> tuple[float, int]:
    """The standard error of the mean of a series, second by second, and its degrees of freedom."""
    time = _Time((by_second.size,))
    influence = (by_second - by_second.mean()) / by_second.size
    return time.standard_error(influence), time.degrees_of_freedom(influence)


@dataclass(frozen=True, slots=True)
class _Time:
    """The seconds of several load steps one after the other; no pair of neighbours spans two load steps."""

    seconds: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """How many stretches of `_width` there are."""
        return sum(max(1, length // self._width) for length in self.seconds)

    @property
    def _width(self) -> int:
        return max(MIN_BLOCK_S, math.ceil(sum(self.seconds) / BLOCKS))

    def join(self, by_second: Sequence[Floats]) -> Floats:
        """Second by second, load step after load step."""
        return np.concatenate([row[:length] for row, length in zip(by_second, self.seconds, strict=True)])

    def standard_error(self, influence: Floats) -> float:
        """Of a sum of influences by second: their scatter, times how long one of them lasts.

        se^2 = sum x_i^2 n / (n - 1) (1 + phi) / (1 - phi)
        phi = r + (1 + 4 r) / n,  r = sum x_i x_(i+1) / sum x_i^2
        """
        if self.blocks < MIN_BLOCKS:
            return math.inf
        size = influence.size
        squares = float(influence @ influence)
        if squares == 0:
            return 0.0
        phi = self._alike(influence)
        return math.sqrt(size / (size - 1) * squares * (1 + phi) / (1 - phi))

    def _alike(self, influence: Floats) -> float:
        pairs = np.ones(influence.size - 1, bool)
        pairs[np.cumsum(self.seconds)[:-1] - 1] = False
        alike = float((influence[1:] * influence[:-1])[pairs].sum()) / float(influence @ influence)
        return min(max(alike + (1 + 4 * alike) / influence.size, 0.0), MAX_CORRELATION)

    def degrees_of_freedom(self, influence: Floats) -> int:
        """What the scatter is worth as an estimate: fewer when a few stretches make up most of it.

        2 (sum d^2)^2 / (sum d^4 - (sum d^2)^2 / n), which is n for normal d; at most n - 1. d are
        the sums over n stretches of time.
        """
        starts = np.cumsum((0, *self.seconds))
        found = np.concatenate(
            [
                np.bincount(
                    np.arange(length) * (count := max(1, length // self._width)) // length,
                    weights=influence[start : start + length],
                    minlength=count,
                )
                for start, length in zip(starts, self.seconds, strict=False)
            ]
        )
        squares = float((found**2).sum())
        spread = float((found**4).sum()) - squares**2 / found.size
        effective = 2 * squares**2 / spread if spread > 0 else math.inf
        return max(1, math.floor(min(found.size - 1, effective)))


def _evaluate_latencies(parts: list[Latencies], shape: _Time, *, tails: bool) -> LevelEstimate:
    first = parts[0]
    limit = first.limit_ratio

    def per_second(weights: Sequence[Floats]) -> Floats:
        return shape.join(
            [
                np.bincount(part.second, weights=row, minlength=length).astype(np.float64)
                for part, row, length in zip(parts, weights, shape.seconds, strict=True)
            ]
        )

    abandoned = shape.join([part.abandoned for part in parts])
    total = per_second([part.count for part in parts]) + abandoned
    over = per_second([part.count * (part.value > first.bound) for part in parts]) + abandoned
    counted = _counted(first.name, over, total, limit, shape)
    share = min(TAIL_FACTOR * limit, MAX_TAIL_RATIO)
    too_few = share < MIN_TAIL_FACTOR * limit or counted.n * share < MIN_IN_TAIL
    if not tails or too_few or abandoned.any():
        return counted
    start = _upper_quantile(parts, share)
    reach = first.bound - start
    if reach <= 0:
        return counted
    tail = per_second([part.count * (part.value > start) for part in parts])
    excess = per_second([part.count * np.maximum(part.value - start, 0.0) for part in parts])
    beyond, beyond_sum, n = float(tail.sum()), float(excess.sum()), float(total.sum())
    if beyond_sum <= 0:
        return counted
    level = math.log(beyond / n / limit) - reach * beyond / beyond_sum
    influence = tail / beyond - total / n - reach * (tail / beyond_sum - beyond * excess / beyond_sum**2)
    check = 0.0
    if counted.level is not None:
        difference = shape.standard_error(influence - (over / over.sum() - total / n))
        check = (level - counted.level) / difference if difference > 0 else 0.0
    error, dof = shape.standard_error(influence), shape.degrees_of_freedom(influence)
    return LevelEstimate(first.name, level, error, dof, n, sum(shape.seconds), "tail", check)


def _counted(name: str, over: Floats, total: Floats, limit: float, shape: _Time) -> LevelEstimate:
    bad, n = float(over.sum()), float(total.sum())
    seconds, blocks = float(sum(shape.seconds)), shape.blocks
    if bad <= 0:
        # Rule of three: nothing bad among n would still be seen in 5 % of all cases at a share of 3 / n.
        most = math.log(3.0 / n / limit) if n > 0 and blocks >= MIN_BLOCKS else math.inf
        return LevelEstimate(name, None, most, blocks - 1, n, seconds, "counted")
    influence = over / bad - total / n
    error, dof = shape.standard_error(influence), shape.degrees_of_freedom(influence)
    # Chance alone scatters a count by this much; blocks that agree better do so by luck.
    if float(over.max()) <= float(total.max()):
        error = max(error, math.sqrt(max(0.0, 1 - bad / n) / bad))
    return LevelEstimate(name, math.log(bad / n / limit), error, dof, n, seconds, "counted")


def _evaluate_count(parts: list[Count], seconds: Sequence[int]) -> LevelEstimate:
    """What must not happen is judged at its worst: one load step above the limit is a fact, without error."""
    worst = max(part.count for part in parts)
    level = math.inf if worst > parts[0].limit else -math.inf
    return LevelEstimate(parts[0].name, level, 0.0, 1, float(len(parts)), float(sum(seconds)), "counted")


def _upper_quantile(parts: list[Latencies], share: float) -> float:
    """The value that a `share` of the requests exceed."""
    value = np.concatenate([part.value for part in parts])
    count = np.concatenate([part.count for part in parts])
    if float(count.max()) == 1:
        place = value.size - max(1, math.ceil(share * value.size))
        return float(np.partition(value, place)[place])
    order = np.argsort(value)
    beyond = np.cumsum(count[order][::-1])
    return float(value[order][::-1][np.searchsorted(beyond, share * beyond[-1])])
