"""The values of the gate: what was measured for a threshold, what was judged, and the verdict on the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from doorbuster.errors import ExitCode
from doorbuster.records.histogram import Histogram
from doorbuster.stats.latency_quantiles import TimeBlock

if TYPE_CHECKING:
    from doorbuster.scenario.thresholds.language import Threshold

ThresholdStatus = Literal["pass", "fail", "inconclusive", "warn"]
VerdictStatus = Literal["pass", "fail", "inconclusive", "interrupted", "aborted"]


class NamedMetric(Protocol):
    """A metric of a report section, as far as the gate needs it."""

    @property
    def value(self) -> float | None: ...
    @property
    def unit(self) -> str: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def n(self) -> int | None: ...
    @property
    def at_least(self) -> bool: ...


class HasMetrics(Protocol):
    """A report section, as far as the gate needs it."""

    @property
    def name(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, NamedMetric]: ...


@dataclass(frozen=True, slots=True, eq=False)
class TrendCounts:
    """Times of requests: `answered`, and `abandoned` at the moment the customer left (lower bounds).

    `time_blocks` are the same in order of time, as far as it was kept: neighbours fare alike, and only the
    scatter between time_blocks tells how many requests were independent.
    """

    answered: Histogram
    abandoned: Histogram
    time_blocks: tuple[TimeBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class RateCounts:
    """`k` of `n` customers or requests; `by_time` is the same in blocks of time, each (k, n), in order."""

    k: int
    n: int
    by_time: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CounterTotal:
    """`count` things, out of `n` that might have been, in `over_s` seconds."""

    count: int
    n: int
    over_s: float


@dataclass(frozen=True, slots=True)
class SectionValue:
    """A metric that an analysis script worked out."""

    value: float
    low: float | None
    high: float | None
    n: int | None
    at_least: bool
    unit: str = ""


@dataclass(frozen=True, slots=True)
class NoData:
    """Why there is nothing to judge."""

    reason: str


MetricData = TrendCounts | RateCounts | CounterTotal | SectionValue | NoData


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """One threshold, judged.

    `observed`, `low`, `high` and `margin` are in `unit` ("ms", "ratio", "count", "per_s" or ""); `margin` is
    the distance to the bound, above zero on the good side. `at_least`: so many customers left before the
    answer came that the true value is `observed` or more. `certain`: the whole interval is on one side of the
    bound.
    """

    threshold: Threshold
    status: ThresholdStatus
    observed: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    margin: float | None
    at_least: bool
    certain: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said about the whole run: one sentence, why, and the exit code that says the same."""

    status: VerdictStatus
    sentence: str
    reasons: tuple[str, ...]
    exit_code: ExitCode
