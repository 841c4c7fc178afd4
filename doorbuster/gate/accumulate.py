"""What a run recorded, counted for one threshold at a time.

Rules:
- `http_req_duration`, `http_req_waiting` and `service_time` cover answered and abandoned requests; failed
  ones are `http_req_failed`'s to judge, so that quick error pages cannot make a shop look fast.
- A customer we dropped was never in the shop: it counts for `dropped` and `customers` only.
- A `phase` is that of the recorded scenario's curve; a second belongs to it by its middle.
- Metrics of the audit need the shop's books; without them there is nothing to judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from doorbuster.gate.threshold_result import (
    CounterTotal,
    HasMetrics,
    MetricData,
    NamedMetric,
    NoData,
    RateCounts,
    SectionValue,
    TrendCounts,
)  # fmt: skip
from doorbuster.records.batch import CustomerCount, OrderAttempt, RequestSecond, SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.ledger import Audit, Ledger, audit
from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Kind, Run
from doorbuster.scenario.demand.phases import Phase, Seconds, phase_seconds
from doorbuster.scenario.recorded import recorded_phases
from doorbuster.scenario.thresholds.language import METRICS, Threshold
from doorbuster.stats.latency_quantiles import MAX_TIME_BLOCKS, TimeBlock
from doorbuster.stats.proportion import in_time_blocks

KINDS: dict[str, Kind] = {
    "http_req_duration": "response",
    "http_req_waiting": "first_byte",
    "service_time": "service",
}
Counts = NDArray[np.int64]
_EXPECTED = {  # k6's tag expected_response
    "true": (RequestOutcome.OK,),
    "false": (RequestOutcome.FAILED, RequestOutcome.ABANDONED),
}
AUDITED = ("orders_lost", "orders_duplicated", "orders_unacknowledged", "oversold_units")


@dataclass(frozen=True)
class Selector:
    """The tags of a threshold as questions about a series, a customer or an order."""

    tags: dict[str, str]
    seconds: Seconds | None = None

    @classmethod
    def of(cls, threshold: Threshold, phases: Sequence[Phase] = ()) -> Selector:
        """The threshold's own tags; `phases` says which seconds a `phase` tag means."""
        tags = {tag.name: tag.value for tag in threshold.tags}
        return cls(tags, phase_seconds(tags["phase"], phases) if "phase" in tags else None)

    @property
    def phase_is_missing(self) -> bool:
        """Whether it asks for a phase that nobody can tell from this run."""
        return "phase" in self.tags and self.seconds is None

    def matches_second(self, second: int) -> bool:
        """Whether what was due in this second is selected."""
        return self.seconds is None or self.seconds.first <= second < self.seconds.end

    def matches_series(self, series: SeriesKey) -> bool:
        """Whether a request series is selected, `expected_response` aside."""
        return all(
            self.tags.get(name, value) == value
            for name, value in (
                ("channel", series.channel),
                ("journey", series.journey),
                ("step", series.step),
            )
        )

    def matches_request(self, row: RequestSecond) -> bool:
        """Whether the requests of one series in one second are selected, `expected_response` aside."""
        return self.matches_second(row.second) and self.matches_series(row.series)

    def matches_customer(self, row: CustomerCount) -> bool:
        """Whether a group of customers is selected."""
        return (
            self.matches_second(row.second)
            and self.tags.get("channel", row.channel) == row.channel
            and self.tags.get("journey", row.journey) == row.journey
        )

    @property
    def channel(self) -> str | None:
        """The selected channel, if one is."""
        return self.tags.get("channel")

    @property
    def timed_outcomes(self) -> tuple[str, ...]:
        """Request outcomes whose times belong to a trend: k6's expected_response means ok."""
        return _EXPECTED.get(
            self.tags.get("expected_response", ""), (RequestOutcome.OK, RequestOutcome.ABANDONED)
        )

    @property
    def counted_outcomes(self) -> tuple[str, ...]:
        """Request outcomes that are counted."""
        return _EXPECTED.get(self.tags.get("expected_response", ""), tuple(RequestOutcome))


@dataclass
class RunMetrics:
    """A run and its sections, read once however many thresholds ask."""

    run: Run
    sections: tuple[HasMetrics, ...] = field(default=())

    @cached_property
    def customers(self) -> tuple[CustomerCount, ...]:
        return self.run.customers()

    @cached_property
    def orders(self) -> tuple[OrderAttempt, ...]:
        return self.run.orders()

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        return recorded_phases(self.run.meta.scenario_text)

    @cached_property
    def ledger(self) -> Ledger | None:
        return self.run.ledger()

    def tally(self, threshold: Threshold) -> MetricData:
        """What was counted for this threshold."""
        metric = METRICS.get(threshold.metric)
        if metric is None:
            return _from_sections(threshold, self.sections)
        select = Selector.of(threshold, self.phases)
        if select.phase_is_missing:
            return NoData(f"the recorded scenario has no phase {select.tags['phase']}")
        if threshold.metric == "lateness":
            return TrendCounts(self.run.lateness(), Histogram.empty())
        if metric.kind == "trend":
            return self._trend(KINDS[threshold.metric], select)
        if threshold.metric in ("http_req_failed", "http_reqs"):
            return self._requests(threshold.metric, select)
        if metric.kind == "rate":
            rows = [row for row in self.customers if select.matches_customer(row)]
            return replace(
                customer_rate(threshold.metric, rows),
                by_time=in_time_blocks(_by_second(threshold.metric, rows)),
            )
        if threshold.metric == "customers":
            count = sum(row.n for row in self.customers if select.matches_customer(row))
            return CounterTotal(count, count, self._length_s(select))
        return self._orders(threshold.metric, select.channel)

    def _trend(self, kind: Kind, select: Selector) -> MetricData:
        outcomes = select.timed_outcomes
        first, end = select.seconds or (0, self.run.recorded_s)
        width_s = max(1, math.ceil((end - first) / MAX_TIME_BLOCKS))
        found = self.run.histograms_by(
            lambda series: (
                ("abandoned" if series.outcome == RequestOutcome.ABANDONED else "answered")
                if series.outcome in outcomes and select.matches_series(series)
                else None
            ),
            kind,
            width_s,
            seconds=select.seconds,
        )
        if not any(histogram.n for histogram in found.values()):
            return NoData(self._nothing_matched(select))
        nothing = Histogram.empty()
        time_blocks = tuple(
            TimeBlock(found.get(("answered", at), nothing), found.get(("abandoned", at), nothing))
            for at in range(first // width_s, math.ceil(end / width_s))
        )
        answered, given_up = (
            nothing.merge(*(histogram for (name, _), histogram in found.items() if name == wanted))
            for wanted in ("answered", "abandoned")
        )
        return TrendCounts(answered, given_up, time_blocks)

    def _requests(self, metric: str, select: Selector) -> MetricData:
        outcomes = select.counted_outcomes
        counts = self.run.request_counts(
            lambda series: (
                series.outcome if series.outcome in outcomes and select.matches_series(series) else None
            )
        )
        within = slice(*select.seconds) if select.seconds else slice(None)
        per_second = {outcome: found[within] for outcome, found in counts.items()}
        length = max((found.size for found in per_second.values()), default=0)
        all_of_them: Counts = sum(per_second.values(), start=np.zeros(length, np.int64))
        total = int(all_of_them.sum())
        if not total:
            return NoData(self._nothing_matched(select))
        if metric == "http_reqs":
            return CounterTotal(total, total, self._length_s(select))
        bad = all_of_them - per_second.get(RequestOutcome.OK, np.zeros(length, np.int64))
        by_second = zip(range(length), bad.tolist(), all_of_them.tolist(), strict=True)
        return RateCounts(int(bad.sum()), total, in_time_blocks(by_second))

    def _nothing_matched(self, select: Selector) -> str:
        chosen = ", ".join(f"{name}:{value}" for name, value in select.tags.items())
        steps = sorted({series.step for series in self.run.series if series.step})
        seen = f"; steps with requests: {', '.join(steps)}" if steps else "; the run has no requests at all"
        return f"no request matched {{{chosen}}}{seen}" if chosen else "the run has no such requests"

    def _orders(self, metric: str, channel: str | None) -> MetricData:
        tried = [attempt for attempt in self.orders if channel in (None, attempt.channel)]
        keys = {attempt.idempotency_key for attempt in tried}
        if metric == "orders_acknowledged":
            wanted = sum(
                row.n for row in self.customers if row.order is not None and channel in (None, row.channel)
            )
            got = {attempt.idempotency_key for attempt in tried if attempt.answer == "acknowledged"}
            return CounterTotal(len(got), max(wanted, len(keys)), self._length_s())
        if metric == "orders_refused":
            refused = {attempt.idempotency_key for attempt in tried if attempt.answer == "refused"}
            return CounterTotal(len(refused), len(keys), self._length_s())
        return self._audited(metric, channel)

    def _audited(self, metric: str, channel: str | None) -> MetricData:
        if self.ledger is None:
            return NoData("the shop's books were not read, so nobody knows what became of the orders")
        found = self._audit(self.ledger, channel)
        basis = found.acknowledged if metric == "orders_lost" else found.booked
        if metric == "oversold_units":
            if found.unstocked and not found.oversold:
                return NoData(f"the shop did not tell the stock of {found.unstocked} articles that were sold")
            basis = len(self.ledger.orders)
        return CounterTotal(_audited_count(metric, found), basis, self._length_s())

    def _audit(self, ledger: Ledger, channel: str | None) -> Audit:
        orders = self.orders
        if channel is not None:
            keys = {attempt.idempotency_key for attempt in orders if attempt.channel == channel}
            known = {attempt.idempotency_key for attempt in orders}
            orders = tuple(attempt for attempt in orders if attempt.channel == channel)
            ledger = Ledger(
                tuple(
                    order
                    for order in ledger.orders
                    if order.idempotency_key in keys
                    or (order.channel == channel and order.idempotency_key not in known)
                ),
                ledger.stock,
                ledger.read_at_s,
            )
        return audit(orders, ledger, run_id=self.run.meta.run_id)

    def _length_s(self, select: Selector | None = None) -> float:
        """Over what a rate per second is taken: the planned run or phase, or what was recorded of it."""
        meta = self.run.meta
        length_s = (
            meta.duration_s if meta.status == "finished" else float(min(self.run.recorded_s, meta.duration_s))
        )
        if select is None or select.seconds is None:
            return length_s
        return max(0.0, min(length_s, select.seconds.end) - select.seconds.first)


def customer_rate(metric: str, rows: Iterable[CustomerCount]) -> RateCounts:
    """How many of the customers a rate is about it happened to."""
    k = n = 0
    for row in rows:
        if metric == "can_browse":
            counts, happened = row.browse is not None, row.browse == 1
        elif metric == "can_order":
            counts, happened = row.order is not None, row.order == 1
        elif metric == Outcome.DROPPED:
            counts, happened = True, row.outcome == Outcome.DROPPED
        else:
            counts, happened = row.outcome != Outcome.DROPPED, row.outcome == metric
        if counts:
            n += row.n
            k += row.n if happened else 0
    return RateCounts(k, n)


def _by_second(metric: str, rows: Iterable[CustomerCount]) -> Iterable[tuple[int, int, int]]:
    for row in rows:
        tally = customer_rate(metric, [row])
        if tally.n:
            yield row.second, tally.k, tally.n


def _audited_count(metric: str, found: Audit) -> int:
    return {
        "orders_lost": found.lost,
        "orders_duplicated": found.duplicated,
        "orders_unacknowledged": found.unacknowledged,
        "oversold_units": found.oversold_units,
    }[metric]


def _from_sections(threshold: Threshold, sections: Iterable[HasMetrics]) -> MetricData:
    """A metric as "section.name", or by its name alone."""
    name = threshold.metric
    for section in sections:
        for key, metric in section.metrics.items():
            if name in (key, f"{section.name}.{key}"):
                if metric.value is None:
                    return NoData(f"section {section.name} could not work out {key}")
                return _in_unit(threshold, metric)
    return NoData(f"no section of the report has a metric {name}")


def _in_unit(threshold: Threshold, metric: NamedMetric) -> MetricData:
    """The value of a section in the unit in which the bound was written."""
    factor = 1.0
    if threshold.unit == "ms":
        if metric.unit not in ("ms", "s", "clock"):
            return NoData(f"{threshold.metric} is no time, but it is compared with one")
        factor = 1.0 if metric.unit == "ms" else 1e3
    elif threshold.unit == "ratio" and metric.unit not in ("ratio", ""):
        return NoData(f"{threshold.metric} is no share, but it is compared with one")
    value, low, high = (
        None if number is None else number * factor for number in (metric.value, metric.low, metric.high)
    )
    assert value is not None
    return SectionValue(value, low, high, metric.n, metric.at_least, metric.unit)
