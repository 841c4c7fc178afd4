"""The values of the gate: counts, threshold results and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from doorbuster.errors import ExitCode
from doorbuster.records.histogram import Histogram
from doorbuster.stats.latency_quantiles import TimeBlock

if TYPE_CHECKING:
    from doorbuster.scenario.thresholds.language import Threshold

US_PER_MS = 1e3
ThresholdStatus = Literal["pass", "fail", "inconclusive", "warn"]
VerdictStatus = Literal["pass", "fail", "inconclusive", "interrupted", "aborted"]


class NamedMetric(Protocol):
    """The part of a report section's metric that the gate needs."""

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
    """The part of a report section that the gate needs."""

    @property
    def name(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, NamedMetric]: ...


@dataclass(frozen=True, slots=True, eq=False)
class TrendCounts:
    """Times of requests: `answered`, and `abandoned` at the moment the customer left (lower bounds).

    `time_blocks` holds the same times in order; the scatter between blocks shows how many requests were
    independent. Empty when the order was not kept. `bucket_error` is the width of the buckets of an imported
    run, as a ratio. `steps_per_unit`: what the histograms count, in the unit of the threshold.
    """

    answered: Histogram
    abandoned: Histogram
    time_blocks: tuple[TimeBlock, ...] = ()
    bucket_error: float = 0.0
    steps_per_unit: float = US_PER_MS


@dataclass(frozen=True, slots=True)
class RateCounts:
    """`k` of `n` customers or requests; `by_time` is the same per time block."""

    k: int
    n: int
    by_time: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CounterTotal:
    """`count` of `n` in `over_s` seconds."""

    count: int
    n: int
    over_s: float


@dataclass(frozen=True, slots=True)
class SectionValue:
    """A metric of an analysis section, or a value that another tool reported (`basis` says how)."""

    value: float
    low: float | None
    high: float | None
    n: int | None
    at_least: bool
    unit: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class NoData:
    """No data, and why."""

    reason: str


MetricData = TrendCounts | RateCounts | CounterTotal | SectionValue | NoData


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """One threshold with its result.

    `observed`, `low`, `high` and `margin` are in `unit` ("ms", "ratio", "count", "per_s" or ""); `margin` is
    the distance to the bound, positive when the threshold holds. `at_least`: too many customers left before
    the response, so the true value is `observed` or more. `certain`: the interval does not include the bound.
    `remark`: why the result is not certain, which `sentence` says, too; "" where there is nothing to say.
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
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the whole run: one sentence, the reasons and the exit code."""

    status: VerdictStatus
    sentence: str
    reasons: tuple[str, ...]
    exit_code: ExitCode


def failed_only_against_baseline(results: Iterable[ThresholdResult]) -> bool:
    """Whether thresholds failed, all of them relative to a baseline."""
    failed = [result for result in results if result.status == "fail"]
    return bool(failed) and all(result.threshold.relative for result in failed)
