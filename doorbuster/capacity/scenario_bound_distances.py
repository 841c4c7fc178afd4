"""The thresholds of a scenario as bound distances of the capacity search: counts per second of a load step.

Rules of this module:
- Only thresholds that a higher rate can violate are used: upper bounds on times and failures, lower
  bounds on success, no missing or oversold orders. "customers count>=100" concerns the size of a run and is
  left out.
- Seconds count from the end of the warm-up. A request belongs to the second in which it was due.
- Thresholds of severity "warn" count when there are no others.
- What a search does not use is listed with the reason, never dropped silently.
- Thresholds on times cover answered requests. When no threshold counts failures, a failed request counts as
  too slow: a shop must not pass by refusing everybody quickly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from doorbuster.capacity.bound_distance import BoundDistance, Count, Latencies, Ratio
from doorbuster.capacity.observed_bound_distances import observed_bound_distance, why_not_searchable
from doorbuster.gate.accumulate import Selector
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import CounterTotal
from doorbuster.records.histogram import middle_us
from doorbuster.records.reader import Run
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import METRICS, OBSERVED, MetricDefinition

_MAX_RATIO = 1 - 1e-9


def binding_thresholds(thresholds: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """The thresholds that a higher rate can violate; warnings only when there are no others."""
    found = [threshold for threshold in thresholds if not _why_unused(threshold)]
    failing = [threshold for threshold in found if threshold.severity == "fail"]
    return tuple(failing or found)


def unused_thresholds(thresholds: Sequence[Threshold]) -> tuple[str, ...]:
    """The thresholds that a search does not use, each with the reason."""
    used = binding_thresholds(thresholds)
    warning = "it only warns, and other thresholds decide"
    return tuple(f"{one}: {_why_unused(one) or warning}" for one in thresholds if one not in used)


def bound_distances(
    run: Run, thresholds: Sequence[Threshold], *, first: int, seconds: int
) -> tuple[BoundDistance, ...]:
    """One bound distance for each of `binding_thresholds`, over `seconds` from second `first` on."""
    metrics = RecordedMetrics(run)
    found = [METRICS[threshold.metric] for threshold in thresholds if threshold.metric in METRICS]
    failures_late = not any(metric.covers_refusals for metric in found)
    return tuple(
        _bound_distance(metrics, one, first, seconds, failures_late=failures_late) for one in thresholds
    )


def _why_unused(threshold: Threshold) -> str:
    """Why a search cannot use a threshold; "" if it can."""
    metric = METRICS.get(threshold.metric)
    if threshold.relative:
        return "its baseline had another rate"
    if any(tag.name == "phase" for tag in threshold.tags):
        return "a load step has no phases"
    if threshold.metric.startswith(OBSERVED):
        return why_not_searchable(threshold)
    if metric is None:
        return "sections cover whole runs"
    if metric.of_browsers:
        return "the few visits of browsers in a load step decide nothing"
    return "" if _binds(threshold, metric) else "a higher rate does not violate it"


def _binds(threshold: Threshold, metric: MetricDefinition) -> bool:
    """Whether a higher rate can violate it."""
    upper = threshold.operator in ("<", "<=")
    if metric.of_generator:
        return False
    if metric.kind == "trend":
        return upper and threshold.aggregation in ("p", "med", "avg", "max")
    if metric.kind == "rate":
        return threshold.operator in (">", ">=") if metric.better == "higher" else upper
    return metric.better == "lower" and threshold.operator in ("<", "<=", "==")


def _bound_distance(
    metrics: RecordedMetrics, threshold: Threshold, first: int, seconds: int, *, failures_late: bool
) -> BoundDistance:
    if threshold.metric.startswith(OBSERVED):
        return observed_bound_distance(metrics, threshold, first, seconds)
    kind = METRICS[threshold.metric].kind
    if kind == "trend":
        return _of_times(metrics, threshold, first, seconds, failures_late=failures_late)
    if kind == "counter":
        data = metrics.data(threshold)
        count = float(data.count) if isinstance(data, CounterTotal) else 0.0
        return Count(str(threshold), threshold.bound, count)
    return _of_rate(metrics, threshold, first, seconds)


def _of_times(
    metrics: RecordedMetrics, threshold: Threshold, first: int, seconds: int, *, failures_late: bool
) -> BoundDistance:
    with_failures = failures_late and "ok" in Selector.of(threshold).timed_outcomes
    late = {"abandoned", "failed"} if with_failures else {"abandoned"}
    found = metrics.times_by_second(threshold, first=first, seconds=seconds, with_failures=with_failures)
    abandoned, times = np.zeros(seconds), []
    for (outcome, second), histogram in found.items():
        if outcome in late:
            abandoned[second - first] += histogram.n
        else:
            at = np.full(histogram.bins.size, second - first)
            times.append((at, middle_us(histogram.bins) / 1e3, histogram.bin_counts.astype(np.float64)))
    at, value, count = (
        (np.concatenate(column) for column in zip(*times, strict=True))
        if times
        else (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    )
    name = str(threshold)
    if threshold.aggregation == "avg":
        sums = np.bincount(at, weights=value * count, minlength=seconds) + abandoned * threshold.bound
        return Ratio(
            name, threshold.bound, sums, np.bincount(at, weights=count, minlength=seconds) + abandoned
        )
    share = 1 - (threshold.percentile or 0.0) / 100
    if threshold.aggregation == "max" or share <= 1 - _MAX_RATIO:
        return Count(name, 0.0, float(count[value > threshold.bound].sum() + abandoned.sum()))
    return Latencies(name, threshold.bound, min(share, _MAX_RATIO), at, value, count, abandoned)


def _of_rate(metrics: RecordedMetrics, threshold: Threshold, first: int, seconds: int) -> BoundDistance:
    k, n = np.zeros(seconds), np.zeros(seconds)
    for second, happened, counted in metrics.rates_by_second(threshold):
        if first <= second < first + seconds:
            k[second - first] += happened
            n[second - first] += counted
    good = threshold.operator in (">", ">=")
    bad, limit = (n - k, 1 - threshold.bound) if good else (k, threshold.bound)
    if limit <= 0:
        return Count(str(threshold), 0.0, float(bad.sum()))
    return Ratio(str(threshold), limit, bad, n)
