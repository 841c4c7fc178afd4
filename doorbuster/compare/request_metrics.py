"""The metrics of the requests of a run: response times, failures, errors by cause, throughput, server times.

Rules of this module:
- Failed requests are left out of times; the time of an abandoned one is a lower bound.
- An interval within the run takes the scatter between blocks of time into account. A run with less than ten
  blocks has none: its requests cannot be taken as independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from doorbuster.compare.run_metric import (
    ERRORS,
    SERVER_TIME,
    TYPICAL,
    Direction,
    RunMetric,
    blank_metric,
    metric_key,
    poisson_interval,
    with_rate,
)
from doorbuster.gate.threshold_result import RateCounts
from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import middle_us
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.records.secondary_metrics import ServerTimingTotals
from doorbuster.scenario.thresholds.language import Tag
from doorbuster.scenario.thresholds.metrics import METRICS
from doorbuster.stats.batch_means import batch_means_interval
from doorbuster.stats.design_effect import MIN_BLOCKS
from doorbuster.stats.latency_quantiles import (
    MAX_TIME_BLOCKS,
    LatencyQuantile,
    TimeBlock,
    latency_quantiles,
    time_blocks_by,
)
from doorbuster.stats.proportion import in_time_blocks
from doorbuster.stats.windows import window_quantiles

PERCENTILES = (50.0, 95.0, 99.0)
_MEAN_NEEDS = 10
_LEVELS: tuple[tuple[str, ...], ...] = ((), ("channel",), ("step",), ("channel", "step"))
_UNANSWERED = (RequestOutcome.FAILED, RequestOutcome.ABANDONED)


def request_metrics(run: Run, *, intervals: bool) -> list[RunMetric]:
    """All of them, at every level of channels and steps that differs in this run."""
    times = _latencies(run, intervals=intervals)
    return [*times, *_request_rates(run), *_errors(run), *_throughput(run), *_server_times(run)]


def _latencies(run: Run, *, intervals: bool) -> list[RunMetric]:
    """Response times at every level, service times and first bytes per step."""
    found = []
    for level in _levels(run):
        found += _times(run, "http_req_duration", level, PERCENTILES, intervals=intervals)
    for name in ("service_time", "http_req_waiting"):
        for level in ((), ("step",)):
            found += _times(run, name, level, (95.0,), intervals=intervals)
    return found


def _levels(run: Run) -> list[tuple[str, ...]]:
    """The groupings that differ in this run."""
    many = {name: len({getattr(series, name) for series in run.series}) > 1 for name in ("channel", "step")}
    return [level for level in _LEVELS if all(many[name] for name in level)]


def _grouping(level: Sequence[str]) -> Callable[[SeriesKey], tuple[str, ...]]:
    return lambda series: tuple(getattr(series, name) for name in level)


def _times(
    run: Run, name: str, level: tuple[str, ...], percentiles: Sequence[float], *, intervals: bool
) -> list[RunMetric]:
    definition = METRICS[name]
    kind = definition.counting.time  # type: ignore[union-attr]  # a trend of requests
    group, shares = _grouping(level), [percentile / 100 for percentile in percentiles]

    def outcomes(series: SeriesKey) -> tuple[tuple[str, ...], str] | None:
        return (group(series), series.outcome) if series.has_latency else None

    blocks: Mapping[tuple[str, ...], list[TimeBlock]]
    if intervals:
        width_s = max(1, math.ceil(run.recorded_s / MAX_TIME_BLOCKS))
        buckets = range(math.ceil(run.recorded_s / width_s))
        blocks = time_blocks_by(run.histograms_by(outcomes, kind, width_s), buckets)
    else:
        whole = run.histograms_by(outcomes, kind)
        blocks = time_blocks_by({(key, 0): times for key, times in whole.items()}, range(1))
    found = []
    for values in sorted(blocks):
        tags = [Tag(*pair) for pair in zip(level, values, strict=True)]
        quantiles = (
            latency_quantiles(blocks[values], shares)
            if intervals
            else window_quantiles(blocks[values][0], shares)
        )
        for percentile, quantile in zip(percentiles, quantiles, strict=True):
            empty = blank_metric(definition, tags, f"p({percentile:g})", "ms")
            found.append(_with_quantile(empty, quantile, intervals=intervals))
        if name == "http_req_duration":
            found.append(_typical_time(blank_metric(definition, tags, TYPICAL, "ms"), blocks[values]))
    return found


def _typical_time(empty: RunMetric, blocks: Sequence[TimeBlock]) -> RunMetric:
    """The geometric mean of response times, with an interval from the means of blocks (batch means).

    Every request counts alike, whatever its step, so a change of all steps by one factor shows with far less
    noise than in a percentile, which one step may decide.
    """
    sums, counts = np.zeros(len(blocks)), np.zeros(len(blocks))
    for at, block in enumerate(blocks):
        for times in (block.answered, block.abandoned):
            sums[at] += np.log(np.maximum(middle_us(times.bins), 0.5)) @ times.bin_counts
            counts[at] += times.n
    n, used = int(counts.sum()), counts > 0
    if n < _MEAN_NEEDS:
        return replace(empty, n=n, reason=f"needs {_MEAN_NEEDS} requests, there were {n}")
    mean = float(sums.sum() / n)
    value_ms = math.exp(mean) / 1e3
    if int(used.sum()) < MIN_BLOCKS:
        return replace(empty, value=value_ms, n=n)
    ends = batch_means_interval(sums[used], counts[used])
    return replace(empty, value=value_ms, low=math.exp(ends[0]) / 1e3, high=math.exp(ends[1]) / 1e3, n=n)


def _with_quantile(empty: RunMetric, found: LatencyQuantile, *, intervals: bool) -> RunMetric:
    if found.value_us is None:
        return replace(empty, n=found.n, reason=found.reason)
    ends = (found.low_us, found.high_us) if intervals else (None, None)
    low, high = (None if end is None else end / 1e3 for end in ends)
    return replace(empty, value=found.value_us / 1e3, low=low, high=high, n=found.n, at_least=found.at_least)


def _request_rates(run: Run) -> list[RunMetric]:
    """Failed requests at every level, errors by cause and step, and the rate of requests."""
    found: list[RunMetric] = []
    for level in _levels(run):
        group = _grouping(level)
        counts = run.request_counts(lambda series, group=group: (group(series), series.outcome))  # type: ignore[misc]
        for values in sorted({key for key, _ in counts}):
            failed = sum(
                (counts[values, str(outcome)] for outcome in _UNANSWERED if (values, str(outcome)) in counts),
                np.zeros(1, np.int64),
            )
            n = sum((of for (key, _), of in counts.items() if key == values), np.zeros(1, np.int64))
            tags = [Tag(*pair) for pair in zip(level, values, strict=True)]
            empty = blank_metric(METRICS["http_req_failed"], tags, "rate", "ratio")
            found.append(with_rate(empty, _by_time(failed, n, run.recorded_s)))
    return found


def _errors(run: Run) -> list[RunMetric]:
    """Share of each cause of failure among the requests of its step."""
    totals = run.request_counts(lambda series: series.step)
    causes = run.request_counts(
        lambda series: None if series.succeeded else (series.step, series.cause or series.outcome)
    )
    found = []
    for step, cause in sorted(causes):
        tags = tuple(sorted((Tag("step", step), Tag("cause", cause))))
        key = metric_key(ERRORS, tags, "rate")
        empty = RunMetric(key, ERRORS, tags, "rate", "ratio", "lower", None)
        found.append(with_rate(empty, _by_time(causes[step, cause], totals[step], run.recorded_s)))
    return found


def _throughput(run: Run) -> list[RunMetric]:
    """Requests per second; more is better only in a closed workload, where users wait for answers."""
    counts = run.request_counts(lambda _: True).get(True)
    if counts is None or not counts.sum() or not run.meta.duration_s:
        return []
    n, length_s = int(counts.sum()), max(1, run.recorded_s)
    ends = poisson_interval(n)
    empty = blank_metric(METRICS["http_reqs"], (), "rate", "per_s")
    better: Direction = "higher" if run.meta.workload == "closed" else ""
    low, high = (end / length_s for end in ends)
    return [replace(empty, better=better, value=n / length_s, low=low, high=high, n=n)]


def _by_time(k: np.ndarray, n: np.ndarray, recorded_s: int) -> RateCounts:
    """Successes of trials, by block of time."""
    length = max(recorded_s, n.size)
    padded = [
        np.concatenate([part, np.zeros(length - part.size, np.int64)]) for part in (k * np.ones_like(n), n)
    ]
    rows = zip(range(length), padded[0].tolist(), padded[1].tolist(), strict=True)
    return RateCounts(int(padded[0].sum()), int(padded[1].sum()), in_time_blocks(rows))


def _server_times(run: Run) -> list[RunMetric]:
    """Mean of each Server-Timing entry per step, estimated from the sampled responses."""
    parts: defaultdict[tuple[str, str], list[ServerTimingTotals]] = defaultdict(list)
    for timing, totals in run.step_timings().server.items():
        if totals.total_us > 0:
            parts[timing.series.step, timing.entry].append(totals)
    found = []
    for (step, entry), of in sorted(parts.items()):
        tags = (Tag("entry", entry), Tag("step", step))
        mean_ms = sum(part.total_us for part in of) / sum(part.steps for part in of) / 1e3
        n = sum(part.sampled for part in of)
        key = metric_key(SERVER_TIME, tags, "avg")
        found.append(RunMetric(key, SERVER_TIME, tags, "avg", "ms", "lower", mean_ms, n=n))
    return found
