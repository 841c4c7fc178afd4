"""Counts one metric, from the rows of a run file or of live reports.

Rules:
- Times cover answered and abandoned requests; failed ones count for `http_req_failed`, so that quick error
  pages cannot make a shop look fast.
- A dropped customer was never in the shop and counts for `dropped` and `customers` only.
- Times and rates keep their second, because samples close in time are correlated.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from doorbuster.gate.threshold_result import CounterTotal, MetricData, RateCounts, TrendCounts
from doorbuster.records.batch import ASSET_STEPS, Batch, CustomerCount, OrderAttempt, RequestSecond, SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.scenario.demand.phases import Phase, Seconds, phase_seconds
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import (
    Customers,
    MetricDefinition,
    Orders,
    Requests,
    RequestTimes,
    StartDelays,
)
from doorbuster.stats.latency_quantiles import MAX_TIME_BLOCKS, TimeBlock
from doorbuster.stats.proportion import in_time_blocks

ANSWERED, ABANDONED = "answered", "abandoned"
MAX_LIVE_BLOCKS = 4 * MAX_TIME_BLOCKS
_EMPTY = Histogram.empty()


@dataclass(frozen=True)
class Selector:
    """Selects series, seconds, customers and orders by the tags of a threshold."""

    tags: dict[str, str]
    seconds: Seconds | None = None

    @classmethod
    def of(cls, threshold: Threshold, phases: Sequence[Phase] = ()) -> Selector:
        """From the tags of a threshold; `phases` gives the seconds of a `phase` tag."""
        tags = {tag.name: tag.value for tag in threshold.tags}
        return cls(tags, phase_seconds(tags["phase"], phases) if "phase" in tags else None)

    @property
    def phase_is_missing(self) -> bool:
        """Whether the run lacks the selected phase."""
        return "phase" in self.tags and self.seconds is None

    @property
    def channel(self) -> str | None:
        """The selected channel, or None for all."""
        return self.tags.get("channel")

    def matches_second(self, second: int) -> bool:
        """Whether samples due in this second are selected."""
        return self.seconds is None or self.seconds.first <= second < self.seconds.end

    def seconds_within(self, recorded_s: int) -> Seconds:
        """The selected seconds that were recorded; the last phase has no end of its own."""
        first, end = self.seconds or (0, recorded_s)
        return Seconds(first, min(end, recorded_s))

    def length_s(self, run_s: float) -> float:
        """The selected part of a run of this length, in s."""
        return run_s if self.seconds is None else max(0.0, min(run_s, self.seconds.end) - self.seconds.first)

    def matches_series(self, series: SeriesKey) -> bool:
        """Whether a request series is selected, regardless of `expected_response`."""
        return (
            self.tags.get("channel", series.channel) == series.channel
            and self.tags.get("journey", series.journey) == series.journey
            and self.tags.get("step", series.step) == series.step
            and self.of_assets == series.is_asset
        )

    @property
    def of_assets(self) -> bool:
        """Whether static assets of pages are selected: only by the name of their step."""
        return self.tags.get("step") in ASSET_STEPS

    def matches_customer(self, row: CustomerCount) -> bool:
        """Whether a group of customers is selected."""
        return (
            self.matches_second(row.second)
            and self.tags.get("channel", row.channel) == row.channel
            and self.tags.get("journey", row.journey) == row.journey
        )

    @property
    def timed_outcomes(self) -> tuple[str, ...]:
        """Request outcomes whose times belong to a trend."""
        return self._outcomes(("ok", "abandoned"))

    def time_group(self, series: SeriesKey) -> str | None:
        """The group of the times of a series: answered, abandoned or None for not selected."""
        if series.outcome not in self.timed_outcomes or not self.matches_series(series):
            return None
        return ABANDONED if series.outcome == "abandoned" else ANSWERED

    def counted_outcome(self, series: SeriesKey) -> str | None:
        """The outcome of a series, or None when its requests do not count."""
        counted = series.outcome in self._outcomes(("ok", "failed", "abandoned"))
        return series.outcome if counted and self.matches_series(series) else None

    def _outcomes(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """k6's expected_response: true means ok."""
        expected = self.tags.get("expected_response", "")
        return {"true": ("ok",), "false": ("failed", "abandoned")}.get(expected, default)


class MetricAccumulator:
    """Counts one metric for one selector.

    `add_batch` ignores rows that the metric does not count.
    """

    def __init__(self, metric: MetricDefinition, selector: Selector, *, block_s: int = 1) -> None:
        self.metric = metric
        self.selector = selector
        self._counting = metric.counting
        self._block_s = block_s
        self._blocks: dict[tuple[str, int], Histogram] = {}
        self._totals = {ANSWERED: _EMPTY, ABANDONED: _EMPTY}
        self._by_second: dict[int, tuple[int, int]] = {}
        self._wanted = 0
        self._tried: set[str] = set()
        self._matching: set[str] = set()

    def add_batch(self, batch: Batch) -> None:
        """Add one report of a worker."""
        match self._counting:
            case RequestTimes():
                self._add_batch_times(batch.requests, self._counting)
            case StartDelays():
                self.add_times({(ANSWERED, 0): Histogram.from_blobs(s.lateness for s in batch.health)})
            case Requests():
                for row in batch.requests:
                    outcome = self.selector.counted_outcome(row.series)
                    if outcome is not None:
                        self.add_requests(outcome, [(row.second, row.n)])
            case Customers():
                self.add_customers(batch.customers)
            case Orders():
                self.add_customers(batch.customers)
                self.add_orders(batch.orders)
            case _:
                raise AssertionError(f"{self.metric.name} is only known at the end of a run")

    def add_times(self, found: Mapping[tuple[str, int], Histogram]) -> None:
        """Add times by (answered or abandoned, block)."""
        for group in (ANSWERED, ABANDONED):
            parts = [histogram for (name, _), histogram in found.items() if name == group]
            if parts:
                self._totals[group] = self._totals[group].merge(*parts)
        for key, histogram in found.items():
            self._blocks[key] = self._blocks[key].merge(histogram) if key in self._blocks else histogram
        while len({block for _, block in self._blocks}) > MAX_LIVE_BLOCKS:
            self._double_the_blocks()

    def add_requests(self, outcome: str, counts: Iterable[tuple[int, int]]) -> None:
        """Add requests with this outcome, as (second, n)."""
        failed = outcome != "ok"
        for second, n in counts:
            if self.selector.matches_second(second):
                self._add(second, n if failed else 0, n)

    def add_customers(self, rows: Iterable[CustomerCount]) -> None:
        """Add customers by outcome."""
        selector, counting = self.selector, self._counting
        if isinstance(counting, Orders):
            channel = selector.channel
            self._wanted += sum(
                row.n for row in rows if row.order is not None and channel in (None, row.channel)
            )
            return
        assert isinstance(counting, Customers)
        for row in rows:
            if selector.matches_customer(row):
                happened = _happened(counting, row)
                if happened is not None:
                    self._add(row.second, row.n if happened else 0, row.n)

    def add_orders(self, attempts: Iterable[OrderAttempt]) -> None:
        """Add orders; an order tried several times counts once."""
        assert isinstance(self._counting, Orders)
        for attempt in attempts:
            if self.selector.channel in (None, attempt.channel):
                self._tried.add(attempt.idempotency_key)
                if attempt.answer == self._counting.answer:
                    self._matching.add(attempt.idempotency_key)

    def by_second(self) -> Iterable[tuple[int, int, int]]:
        """(second, successes, trials) of a rate, unordered."""
        return ((second, k, n) for second, (k, n) in self._by_second.items())

    def data(self, *, recorded_s: int, over_s: float) -> MetricData:
        """Everything counted so far.

        Args: recorded_s: seconds up to the last one recorded; over_s: the length for a rate per second.
        """
        match self._counting:
            case RequestTimes():
                return TrendCounts(
                    self._totals[ANSWERED], self._totals[ABANDONED], self._time_blocks(recorded_s)
                )
            case StartDelays():
                return TrendCounts(self._totals[ANSWERED], self._totals[ABANDONED])
            case Orders(population=population):
                tried = len(self._tried)
                n = max(self._wanted, tried) if population == "wanted" else tried
                return CounterTotal(len(self._matching), n, over_s)
        if self.metric.kind == "counter":
            n = self.total().n
            return CounterTotal(n, n, over_s)
        if isinstance(self._counting, Requests):
            # Seconds without requests count towards the blocks: customers keep arriving when a shop hangs.
            for second in range(*self.selector.seconds_within(recorded_s)):
                self._by_second.setdefault(second, (0, 0))
        return self.rate()

    def rate(self) -> RateCounts:
        """A rate with its time blocks."""
        total = self.total()
        return RateCounts(total.k, total.n, in_time_blocks(self.by_second()))

    def total(self) -> RateCounts:
        """A rate without time blocks."""
        return RateCounts(
            sum(k for k, _ in self._by_second.values()), sum(n for _, n in self._by_second.values())
        )

    def total_times(self) -> TrendCounts:
        """All times without time blocks, so that their interval treats requests as independent."""
        return TrendCounts(self._totals[ANSWERED], self._totals[ABANDONED])

    def _add(self, second: int, k: int, n: int) -> None:
        before_k, before_n = self._by_second.get(second, (0, 0))
        self._by_second[second] = (before_k + k, before_n + n)

    def _add_batch_times(self, rows: Iterable[RequestSecond], counting: RequestTimes) -> None:
        blobs: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        for row in rows:
            group = self.selector.time_group(row.series)
            if group is not None and self.selector.matches_second(row.second):
                times = {"response": row.response, "service": row.service, "first_byte": row.first_byte}
                blobs[group, row.second // self._block_s].append(times[counting.time])
        if blobs:
            self.add_times({key: Histogram.from_blobs(found) for key, found in blobs.items()})

    def _double_the_blocks(self) -> None:
        self._block_s *= 2
        wider: dict[tuple[str, int], Histogram] = {}
        for (group, block), histogram in self._blocks.items():
            key = (group, block // 2)
            wider[key] = wider[key].merge(histogram) if key in wider else histogram
        self._blocks = wider

    def _time_blocks(self, recorded_s: int) -> tuple[TimeBlock, ...]:
        """About MAX_TIME_BLOCKS blocks of equal length, a multiple of the length used while counting."""
        first, end = self.selector.seconds_within(recorded_s)
        width_s = block_length_s(self.selector, recorded_s)
        factor = max(1, math.ceil(width_s / self._block_s))
        parts: dict[tuple[str, int], list[Histogram]] = defaultdict(list)
        for (group, block), histogram in self._blocks.items():
            parts[group, block // factor].append(histogram)
        width_s = factor * self._block_s

        def joined(group: str, block: int) -> Histogram:
            found = parts.get((group, block), [])
            return found[0] if len(found) == 1 else _EMPTY.merge(*found)

        blocks = range(first // width_s, math.ceil(end / width_s))
        return tuple(TimeBlock(joined(ANSWERED, at), joined(ABANDONED, at)) for at in blocks)


def block_length_s(selector: Selector, recorded_s: int) -> int:
    """Length of a time block, in s, when this much of the run was recorded."""
    first, end = selector.seconds_within(recorded_s)
    return max(1, math.ceil((end - first) / MAX_TIME_BLOCKS))


def _happened(counting: Customers, row: CustomerCount) -> bool | None:
    """Whether these customers count as successes; None when they are not in the population."""
    match counting.population:
        case "browse":
            return None if row.browse is None else row.browse == 1
        case "order":
            return None if row.order is None else row.order == 1
        case "started":
            return None if row.outcome == "dropped" else row.outcome == counting.outcome
        case "planned":
            return row.outcome == counting.outcome
