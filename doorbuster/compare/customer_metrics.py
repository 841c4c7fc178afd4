"""The metrics of the customers of a run and of their orders."""

from __future__ import annotations

from doorbuster.compare.run_metric import (
    SHARE,
    RunMetric,
    blank_metric,
    counts_orders,
    with_rate,
    with_share,
)
from doorbuster.gate.accumulate import MetricAccumulator, Selector
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import CounterTotal
from doorbuster.scenario.thresholds.language import Tag, read_thresholds
from doorbuster.scenario.thresholds.metrics import METRICS, Customers


def customer_metrics(recorded: RecordedMetrics, *, intervals: bool) -> list[RunMetric]:
    """Rates of customers over all and per channel, and shares of orders."""
    return [*_customer_rates(recorded, intervals=intervals), *_orders(recorded)]


def _customer_rates(recorded: RecordedMetrics, *, intervals: bool) -> list[RunMetric]:
    """Rates of customers, over all and per channel."""
    if not recorded.customers:
        return []
    rows = recorded.customers if intervals else recorded.run.customers(recorded.run.grain_s)
    channels = sorted({row.channel for row in rows})
    found = []
    for definition in METRICS.values():
        if not isinstance(definition.counting, Customers) or definition.kind != "rate":
            continue
        for channel in ("", *channels) if len(channels) > 1 else ("",):
            tags = (Tag("channel", channel),) if channel else ()
            counted = MetricAccumulator(definition, Selector(dict(tags)))
            counted.add_customers(rows if not channel else (row for row in rows if row.channel == channel))
            counts = counted.rate()
            if counts.n:
                found.append(with_rate(blank_metric(definition, tags, "rate", "ratio"), counts))
    return found


def _orders(recorded: RecordedMetrics) -> list[RunMetric]:
    """Orders by answer and by the audit, as a share of those they could have happened to."""
    if not recorded.orders:
        return []
    found = []
    for name, definition in METRICS.items():
        if not counts_orders(name):
            continue
        (threshold,) = read_thresholds({name: "count>=0"})
        counts = recorded.data(threshold)
        if isinstance(counts, CounterTotal) and counts.n:
            found.append(with_share(blank_metric(definition, (), SHARE, "ratio"), counts))
    return found
