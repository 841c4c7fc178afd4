"""The metrics of a recorded run: feeds the accumulator from the run file, audits the ledger, reads sections.

Rules:
- A `phase` tag refers to the curve of the recorded scenario; a second belongs to the phase of its middle.
- Metrics of the audit need the shop's ledger; without it they are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from doorbuster.gate.accumulate import MetricAccumulator, Selector, block_length_s
from doorbuster.gate.browser_metrics import browser_data
from doorbuster.gate.imported_metrics import imported_data
from doorbuster.gate.observed_metrics import observed_data
from doorbuster.gate.threshold_result import (
    CounterTotal,
    HasMetrics,
    MetricData,
    NamedMetric,
    NoData,
    SectionValue,
    TrendCounts,
)
from doorbuster.records.batch import CustomerCount, OrderAttempt
from doorbuster.records.histogram import Histogram
from doorbuster.records.import_info import ImportInfo, import_info
from doorbuster.records.ledger import Audit, Ledger, audit
from doorbuster.records.reader import Run
from doorbuster.scenario.demand.phases import Phase
from doorbuster.scenario.observation.observe import Limit
from doorbuster.scenario.recorded import recorded_phases, recorded_scenario
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import (
    METRICS,
    OBSERVED,
    AuditFinding,
    BrowserTimes,
    Customers,
    Orders,
    Requests,
    RequestTimes,
    StartDelays,
)


@dataclass
class RecordedMetrics:
    """A run and its sections; each table is read once for all thresholds."""

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
    def imported(self) -> ImportInfo | None:
        return import_info(self.run.meta)

    @cached_property
    def ledger(self) -> Ledger | None:
        return self.run.ledger()

    def data(self, threshold: Threshold) -> MetricData:
        """The counts for this threshold."""
        metric = METRICS.get(threshold.metric)
        if threshold.metric.startswith(OBSERVED):
            return self._observed(threshold)
        if metric is None:
            return _from_sections(threshold, self.sections)
        select = Selector.of(threshold, self.phases)
        if select.phase_is_missing:
            return NoData(f"the recorded scenario has no phase {select.tags['phase']}")
        if isinstance(metric.counting, AuditFinding):
            return self._audited(metric.counting, select.channel)
        if isinstance(metric.counting, BrowserTimes):
            return browser_data(self.run, metric.counting, select)
        imported = self.imported
        if imported is not None:
            known = imported_data(threshold, metric, select, imported)
            if known is not None:
                return known
        found = MetricAccumulator(metric, select, block_s=block_length_s(select, self.run.recorded_s))
        self._feed(found)
        data = found.data(
            recorded_s=self.run.recorded_s,
            over_s=select.length_s(self._length_s()),
        )
        if isinstance(metric.counting, Requests | RequestTimes) and not _n(data):
            return NoData(self._nothing_matched(select))
        if imported is not None and imported.bucket_error and isinstance(data, TrendCounts):
            return replace(data, bucket_error=imported.bucket_error)
        return data

    def _observed(self, threshold: Threshold) -> MetricData:
        select = Selector.of(threshold, self.phases)
        if select.phase_is_missing:
            return NoData(f"the recorded scenario has no phase {select.tags['phase']}")
        return observed_data(
            threshold, select, self.run.observed(), self.observed_limits, length_s=self.run.recorded_s
        )

    @cached_property
    def observed_limits(self) -> Mapping[str, Limit]:
        """`observe.limits` of the recorded scenario."""
        scenario = recorded_scenario(self.run.meta.scenario_text)
        return scenario.observe.limits if scenario is not None and scenario.observe is not None else {}

    def rates_by_second(self, threshold: Threshold) -> Iterable[tuple[int, int, int]]:
        """(second, successes, trials) of a rate."""
        found = MetricAccumulator(METRICS[threshold.metric], Selector.of(threshold, self.phases))
        self._feed(found)
        return found.by_second()

    def times_by_second(
        self, threshold: Threshold, *, first: int, seconds: int, with_failures: bool
    ) -> Mapping[tuple[str, int], Histogram]:
        """The times of a trend by (outcome, second); `with_failures` adds unanswered requests."""
        counting, select = METRICS[threshold.metric].counting, Selector.of(threshold)
        assert isinstance(counting, RequestTimes)
        outcomes = {*select.timed_outcomes, *(("failed", "abandoned") if with_failures else ())}
        return self.run.histograms_by(
            lambda series: (
                series.outcome if series.outcome in outcomes and select.matches_series(series) else None
            ),
            counting.time,
            1,
            seconds=(first, first + seconds),
            assets=select.of_assets,
        )

    def _feed(self, found: MetricAccumulator) -> None:
        select = found.selector
        recorded_s = self.run.recorded_s
        match found.metric.counting:
            case RequestTimes(time=time):
                width_s = block_length_s(select, recorded_s)
                found.add_times(
                    self.run.histograms_by(
                        select.time_group, time, width_s, seconds=select.seconds, assets=select.of_assets
                    )
                )
            case StartDelays():
                found.add_times({("answered", 0): self.run.lateness()})
            case Requests():
                for outcome, counts in self.run.request_counts(
                    select.counted_outcome, assets=select.of_assets
                ).items():
                    found.add_requests(outcome, enumerate(counts[:recorded_s].tolist()))
            case Customers():
                found.add_customers(self.customers)
            case Orders():
                found.add_customers(self.customers)
                found.add_orders(self.orders)
            case other:
                raise AssertionError(f"no reader feeds {other!r} from a run file")

    def _nothing_matched(self, select: Selector) -> str:
        chosen = ", ".join(f"{name}:{value}" for name, value in select.tags.items())
        steps = sorted({series.step for series in self.run.series if series.step})
        seen = f"; steps with requests: {', '.join(steps)}" if steps else "; the run has no requests at all"
        return f"no request matched {{{chosen}}}{seen}" if chosen else "the run has no such requests"

    def _audited(self, counting: AuditFinding, channel: str | None) -> MetricData:
        if self.ledger is None:
            return NoData("the shop's ledger was not read")
        found = self._audit(self.ledger, channel)
        if counting.finding == "oversold_units" and found.unstocked and not found.oversold:
            return NoData(f"the shop did not report the stock of {found.unstocked} products that were sold")
        population = {
            "acknowledged": found.acknowledged,
            "booked": found.booked,
            "ledger": len(self.ledger.orders),
        }
        return CounterTotal(
            getattr(found, counting.finding), population[counting.population], self._length_s()
        )

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

    def _length_s(self) -> float:
        """The planned duration; of a run that ended early, the recorded part."""
        meta = self.run.meta
        return meta.duration_s if meta.status == "finished" else min(self.run.recorded_s, meta.duration_s)


def _n(data: MetricData) -> int:
    if isinstance(data, TrendCounts):
        return data.answered.n + data.abandoned.n
    assert not isinstance(data, NoData)
    return data.n or 0


def _from_sections(threshold: Threshold, sections: Iterable[HasMetrics]) -> MetricData:
    """A metric named "section.name" or just "name"."""
    name = threshold.metric
    for section in sections:
        for key, metric in section.metrics.items():
            if name in (key, f"{section.name}.{key}"):
                if metric.value is None:
                    return NoData(f"section {section.name} could not compute {key}")
                return _in_unit(threshold, metric)
    return NoData(f"no section of the report has a metric {name}")


def _in_unit(threshold: Threshold, metric: NamedMetric) -> MetricData:
    """The value of a section, converted to the unit of the bound."""
    factor = 1.0
    if threshold.unit == "ms":
        if metric.unit not in ("ms", "s", "clock"):
            return NoData(f"{threshold.metric} is not a time, but its bound is")
        factor = 1.0 if metric.unit == "ms" else 1e3
    elif threshold.unit == "ratio" and metric.unit not in ("ratio", ""):
        return NoData(f"{threshold.metric} is not a ratio, but its bound is")
    value, low, high = (
        None if number is None else number * factor for number in (metric.value, metric.low, metric.high)
    )
    assert value is not None
    return SectionValue(value, low, high, metric.n, metric.at_least, metric.unit)
