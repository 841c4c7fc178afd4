"""One threshold on the load steps at one rate: distance from the bound, its error, and queue growth.

Every threshold becomes a *level*: the logarithm of observed over allowed. 0 is the bound, negative levels
meet the threshold, ln 2 is twice the limit. "p(99)<200ms" is read as "at most 1 % of requests above 200 ms",
so that percentiles, ratios and means are treated alike, and the estimate is precise at the bound itself.

Rules of this module:
- Requests close in time are correlated. Standard errors therefore come from the series of seconds, never from
  the number of requests: their scatter times the length of a cluster, modelled as a first-order
  autoregressive process. A few batch means see less than half of the variance of a busy queue of many
  servers; this estimate sees 80 to 120 %.
- The autocorrelation of a short series is biased low by (1 + 4 r) / n; this is corrected.
- An exponential tail, as far as the data can show one, is used as such: P(T > t) = P(T > u) e^-(t-u)/m, with
  m the mean excess over u; up to 20 times as many requests lie beyond u as are allowed beyond t. This takes
  40 % less time for the same interval; for M/M/c it moves the answer by less than 1.5 %, usually by less than
  0.3 %. When the count contradicts the tail, the count is used.
- An abandoned request has no time: it counts as beyond the bound, and the tail is then not used.
- Without any request beyond the bound, `level` is None instead of minus infinity.

Sources: Fishman (1971), "Estimating sample size in computing simulation experiments", Management Science 18
(autoregressive error of a mean); Kendall (1954) and Marriott and Pope (1954), Biometrika 41 (bias of r);
Pickands (1975), Annals of Statistics 3, and Davison and Smith (1990), JRSS B 52 (excesses over a threshold);
Kleinrock (1975), section 5.12, and Kingman (1970) (waiting times have exponential tails when services have).
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

BLOCKS = 12  # target number per group of load steps at one rate
MIN_BLOCKS = 5
MIN_BLOCK_S = 2
TAIL_FACTOR = 20.0  # requests beyond u per request allowed beyond the bound, at most
MIN_TAIL_FACTOR = 3.0
MAX_TAIL_RATIO = 0.25  # a larger part of the requests is not a tail
MIN_IN_TAIL = 40
MIN_REACH_RATIO = 0.2  # of the bound: a shorter tail is that of the service times, not of the queue
MAX_CORRELATION = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """Response times of a load step against "p(100 - 100 limit_ratio) < bound".

    `second`, `value` and `count` are parallel: `count` requests due in `second` (0 is the first after the
    warm-up) took `value` ms; `bound` is in ms too. `abandoned` counts those without a response.
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
    """A sum divided by a count, per second, that must not exceed `limit`.

    Rates: failures over attempts; "rate>=99%" has limit 0.01. Means: total time over requests. `is_level`:
    the mean of an observed metric, which has no violations to count and may grow in proportion to the rate.
    """

    name: str
    limit: float
    sums: Floats
    counts: Floats
    is_level: bool = False

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"{self.name}: limit must be > 0; use Count for events that must not happen")

    @property
    def limit_ratio(self) -> float:
        """The allowed violations per observation."""
        return self.limit


@dataclass(frozen=True, slots=True)
class Count:
    """Events that may happen at most `limit` times on a load step, such as oversold units.

    is_known: whether they were counted at all; a metric that could not be read says nothing.
    """

    name: str
    limit: float
    count: float
    is_known: bool = True


BoundDistance = Latencies | Ratio | Count


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """ln(observed / allowed) with its standard error and amount of data.

    `level` is None without violations or without requests (`n` 0). `check_z` compares the tail estimate with
    the count: beyond +-2.6 the tail is not exponential.
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
    def ratio(self) -> float:
        """Observed over allowed violations."""
        return 0.0 if self.level is None else math.exp(self.level)

    def violations(self, limit: float) -> float:
        """The number of violations; `limit` is the allowed ratio."""
        return self.n * limit * self.ratio

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of the level."""
        return -math.inf if self.level is None else self.level - self._half

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval of the level; 0 violations among n count as at most 3."""
        if self.level is None:
            return self.se
        return self.level + self._half

    @property
    def _half(self) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(max(1, self.degrees_of_freedom), 0.975)) * self.se


def evaluate(parts: Sequence[BoundDistance], seconds: Sequence[int], *, tails: bool = True) -> LevelEstimate:
    """One threshold on all load steps of one rate, pooled.

    Args: parts: the same threshold on each load step; seconds: observed length of each, after the warm-up.
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
    """Whether the number in the shop keeps growing: customers arrive faster than the shop serves them.

    The growth per period, over ten periods, must exceed chance (t test, one in a thousand), and in total 0.1
    % of the arrivals and half the initial number. Fluctuations of a stationary queue cancel out, so the test
    rarely fires for one, while a queue without noise is detected at once.
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
    """The standard error of the mean of a series of seconds, and its degrees of freedom."""
    time = _Time((by_second.size,))
    influence = (by_second - by_second.mean()) / by_second.size
    return time.standard_error(influence), time.degrees_of_freedom(influence)


@dataclass(frozen=True, slots=True)
class _Time:
    """The seconds of several load steps in a row; pairs of adjacent seconds never span two load steps."""

    seconds: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """Number of blocks of `_width` seconds."""
        return sum(max(1, length // self._width) for length in self.seconds)

    @property
    def _width(self) -> int:
        return max(MIN_BLOCK_S, math.ceil(sum(self.seconds) / BLOCKS))

    def join(self, by_second: Sequence[Floats]) -> Floats:
        """The values per second of all load steps in a row."""
        return np.concatenate([row[:length] for row, length in zip(by_second, self.seconds, strict=True)])

    def standard_error(self, influence: Floats) -> float:
        """Standard error of a sum of influences per second: their scatter times the length of a cluster.

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
        """Degrees of freedom of the scatter: fewer when a few blocks contribute most of it.

        2 (sum d^2)^2 / (sum d^4 - (sum d^2)^2 / n), which is n for normal d; at most n - 1. d are
        the sums over n blocks of time.
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
    if reach <= MIN_REACH_RATIO * first.bound:
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
        # Rule of three: at a violation rate of 3 / n, 5 % of all samples of n show none.
        most = math.log(3.0 / n / limit) if n > 0 and blocks >= MIN_BLOCKS else math.inf
        return LevelEstimate(name, None, most, blocks - 1, n, seconds, "counted")
    influence = over / bad - total / n
    error, dof = shape.standard_error(influence), shape.degrees_of_freedom(influence)
    # The Poisson error of a count is the minimum; blocks that agree better do so by chance.
    if float(over.max()) <= float(total.max()):
        error = max(error, math.sqrt(max(0.0, 1 - bad / n) / bad))
    return LevelEstimate(name, math.log(bad / n / limit), error, dof, n, seconds, "counted")


def _evaluate_count(parts: list[Count], seconds: Sequence[int]) -> LevelEstimate:
    """The worst load step decides: a count above the limit is a fact, without error."""
    known = [part for part in parts if part.is_known]
    if not known:
        return LevelEstimate(parts[0].name, None, math.inf, 1, 0.0, float(sum(seconds)), "counted")
    worst = max(part.count for part in known)
    level = math.inf if worst > parts[0].limit else -math.inf
    return LevelEstimate(parts[0].name, level, 0.0, 1, float(len(known)), float(sum(seconds)), "counted")


def _upper_quantile(parts: list[Latencies], share: float) -> float:
    """The value that a `share` of the requests exceeds."""
    value = np.concatenate([part.value for part in parts])
    count = np.concatenate([part.count for part in parts])
    if float(count.max()) == 1:
        place = value.size - max(1, math.ceil(share * value.size))
        return float(np.partition(value, place)[place])
    order = np.argsort(value)
    beyond = np.cumsum(count[order][::-1])
    return float(value[order][::-1][np.searchsorted(beyond, share * beyond[-1])])
