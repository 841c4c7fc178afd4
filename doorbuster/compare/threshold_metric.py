"""The metric that a threshold bounds, with the interval of the verdict on the run where that one holds.

An interval that takes correlated requests for independent ones is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from doorbuster.compare.run_metric import (
    Direction,
    RunMetric,
    aggregation_of,
    blank_metric,
    counts_orders,
    poisson_interval,
    with_share,
)
from doorbuster.gate.estimate import estimate
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import (
    CounterTotal,
    MetricData,
    NoData,
    RateCounts,
    SectionValue,
    TrendCounts,
)
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import FromSection, ObservedValues, find_metric
from doorbuster.stats.batch_means import batch_means_interval
from doorbuster.stats.design_effect import MIN_BLOCKS
from doorbuster.stats.latency_quantiles import TimeBlock


def threshold_metric(recorded: RecordedMetrics, threshold: Threshold) -> RunMetric:
    """The metric of a threshold, with the interval that the verdict uses where that one holds under load."""
    definition = find_metric(threshold.metric)
    assert definition is not None, "thresholds name known metrics"
    unit = "ratio" if counts_orders(threshold.metric) else threshold.unit
    empty = blank_metric(definition, threshold.tags, aggregation_of(threshold), unit)
    if isinstance(definition.counting, FromSection | ObservedValues):
        empty = replace(empty, better=_section_direction(threshold))
    counts = recorded.data(threshold)
    if isinstance(counts, CounterTotal) and counts_orders(threshold.metric):
        return with_share(empty, counts)
    found = estimate(threshold, counts)
    if isinstance(found, NoData):
        return replace(empty, reason=found.reason)
    low, high = _within_run(threshold, counts, found.low, found.high)
    if found.too_few and definition.kind == "trend":
        return replace(empty, n=found.n, reason=found.too_few)
    return replace(empty, value=found.observed, low=low, high=high, n=found.n, at_least=found.at_least)


def _section_direction(threshold: Threshold) -> Direction:
    """The registry does not know in which direction a section's metric improves; its threshold does."""
    if threshold.operator in ("<", "<="):
        return "lower"
    return "higher" if threshold.operator in (">", ">=") else ""


def _within_run(
    threshold: Threshold, counts: MetricData, low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """The ends of an interval that is valid for correlated requests, None where there is none."""
    match counts:
        case TrendCounts(time_blocks=blocks):
            used = [block for block in blocks if block.answered.n + block.abandoned.n]
            if len(used) < MIN_BLOCKS or threshold.aggregation in ("min", "max"):
                return None, None
            return _mean_of_blocks(used) if threshold.aggregation == "avg" else (low, high)
        case RateCounts(by_time=by_time):
            return (low, high) if sum(n > 0 for _, n in by_time) >= MIN_BLOCKS else (None, None)
        case CounterTotal(count=count, over_s=over_s):
            scale = 1.0 if threshold.aggregation == "count" else 1.0 / over_s
            ends = poisson_interval(count)
            return ends[0] * scale, ends[1] * scale
        case SectionValue():
            return low, high
    return None, None


def _mean_of_blocks(blocks: Sequence[TimeBlock]) -> tuple[float, float]:
    """The interval of the mean time, in ms."""
    times = [block.answered.merge(block.abandoned) for block in blocks]
    n = np.array([part.n for part in times], np.float64)
    sums_ms = np.array([(part.mean_us or 0.0) / 1e3 for part in times]) * n
    low, high = batch_means_interval(sums_ms, n)
    return max(0.0, low), high
