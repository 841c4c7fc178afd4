"""Every comparable metric of one recorded run: latency percentiles, rates of customers and requests, counts.

A key names a metric as a threshold would, with sorted tags: "http_req_duration{channel:web,step:pay} p(95)".
Metrics of the registry that a threshold of the scenario names keep its tags and its percentile.

Rules of this module:
- Failed requests are left out of latencies; the time of an abandoned one is a lower bound.
- An interval within the run takes the scatter between blocks of time into account. A run with less than ten
  blocks has none: its requests cannot be taken as independent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from doorbuster.gate.accumulate import MetricAccumulator, Selector
from doorbuster.gate.estimate import estimate, rate_interval
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import (
    CounterTotal,
    HasMetrics,
    MetricData,
    NoData,
    RateCounts,
    SectionValue,
    TrendCounts,
)
from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram, middle_us
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.records.secondary_metrics import ServerTimingTotals
from doorbuster.scenario.thresholds.language import Tag, Threshold, read_thresholds
from doorbuster.scenario.thresholds.metrics import (
    METRICS,
    AuditFinding,
    Customers,
    FromSection,
    MetricDefinition,
    Orders,
    find_metric,
)
from doorbuster.stats.design_effect import CONFIDENCE, MIN_BLOCKS
from doorbuster.stats.latency_quantiles import (
    MAX_TIME_BLOCKS,
    LatencyQuantile,
    TimeBlock,
    latency_quantiles,
    time_blocks_by,
)
from doorbuster.stats.proportion import clopper_pearson, in_time_blocks
from doorbuster.stats.run_comparison import t_quantile
from doorbuster.stats.windows import window_quantiles

MetricUnit = Literal["ms", "ratio", "count", "per_s", "value"]
Direction = Literal["lower", "higher", ""]
K = TypeVar("K", bound=Hashable)

PERCENTILES = (50.0, 95.0, 99.0)
SERVER_TIME = "server_time"
ERRORS = "errors"
SHARE = "share"
TYPICAL = "typical"  # the geometric mean
_MEAN_NEEDS = 10
_LEVELS: tuple[tuple[str, ...], ...] = ((), ("channel",), ("step",), ("channel", "step"))


@dataclass(frozen=True, slots=True)
class RunMetric:
    """One metric of one run.

    `value` is None without enough data, and `reason` then says why. `low` and `high` are the ends of its 95 %
    interval within this run; None when it does not show them. `at_least`: too many customers left, so the
    true time is `value` or longer. `better` is the direction of improvement, "" where neither is.
    """

    key: str
    metric: str
    tags: tuple[Tag, ...]
    aggregation: str
    unit: MetricUnit
    better: Direction
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    at_least: bool = False
    reason: str = ""


def metric_key(metric: str, tags: Iterable[Tag], aggregation: str) -> str:
    """ "http_req_duration{channel:web,step:pay} p(95)"."""
    chosen = ",".join(f"{name}:{value}" for name, value in sorted(tags))
    return f"{metric}{{{chosen}}} {aggregation}" if chosen else f"{metric} {aggregation}"


def threshold_key(threshold: Threshold) -> str:
    """The key of the metric that a threshold bounds."""
    return metric_key(threshold.metric, threshold.tags, _aggregation(threshold))


def counts_orders(metric: str) -> bool:
    """Whether it counts orders among those it could have happened to, so that runs compare its share."""
    definition = METRICS.get(metric)
    return definition is not None and isinstance(definition.counting, Orders | AuditFinding)


def run_metrics(
    run: Run,
    *,
    thresholds: Sequence[Threshold] = (),
    sections: Sequence[HasMetrics] = (),
    intervals: bool = True,
) -> dict[str, RunMetric]:
    """All metrics of a run by key; those of the thresholds come first.

    Args:
        thresholds: whose metrics are wanted whatever their tags.
        sections: of the report, for thresholds on their metrics.
        intervals: whether to work out the intervals within the run, which comparing several runs does not
            need.
    """
    recorded = RecordedMetrics(run, tuple(sections))
    found = [threshold_metric(recorded, threshold) for threshold in thresholds]
    found += _latencies(run, intervals=intervals)
    found += _request_rates(run)
    found += _customer_rates(recorded, intervals=intervals)
    found += _orders(recorded)
    found += _server_times(run)
    by_key: dict[str, RunMetric] = {}
    for metric in found:
        by_key.setdefault(metric.key, metric)
    return by_key


# Metrics of thresholds


def _aggregation(threshold: Threshold) -> str:
    if threshold.percentile is not None:
        return f"p({threshold.percentile:g})"
    return SHARE if counts_orders(threshold.metric) else threshold.aggregation


def threshold_metric(recorded: RecordedMetrics, threshold: Threshold) -> RunMetric:
    """The metric of a threshold, with the interval that the verdict uses where that one holds under load."""
    definition = find_metric(threshold.metric)
    assert definition is not None, "thresholds name known metrics"
    unit = "ratio" if counts_orders(threshold.metric) else threshold.unit
    empty = _blank(definition, threshold.tags, _aggregation(threshold), unit)
    if isinstance(definition.counting, FromSection):
        empty = replace(empty, better=_section_direction(threshold))
    counts = recorded.data(threshold)
    if isinstance(counts, CounterTotal) and counts_orders(threshold.metric):
        return _with_share(empty, counts)
    found = estimate(threshold, counts)
    if isinstance(found, NoData):
        return replace(empty, reason=found.reason)
    low, high = _within_run(threshold, counts, found.low, found.high)
    if found.too_few and threshold.unit == "ms":
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


def _mean_of_blocks(blocks: Sequence[TimeBlock]) -> tuple[float | None, float | None]:
    """The interval of the mean time, in ms, from the means of blocks (batch means)."""
    means = [block.answered.merge(block.abandoned).mean_us for block in blocks]
    logs = np.log([max(1.0, mean or 1.0) for mean in means])
    reach = t_quantile((1 + CONFIDENCE) / 2, logs.size - 1) * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    total = Histogram.empty().merge(
        *(block.answered for block in blocks), *(block.abandoned for block in blocks)
    )
    mean_ms = (total.mean_us or 0.0) / 1e3
    return mean_ms * math.exp(-reach), mean_ms * math.exp(reach)


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact 95 % interval of the mean of a Poisson count.

    Source: Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28.
    """
    from scipy.special import gammaincinv

    tail = (1 - CONFIDENCE) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))


def _blank(
    definition: MetricDefinition, tags: Iterable[Tag], aggregation: str, unit: MetricUnit
) -> RunMetric:
    chosen = tuple(sorted(tags))
    key = metric_key(definition.name, chosen, aggregation)
    return RunMetric(key, definition.name, chosen, aggregation, unit, definition.better, None)


# Requests


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
            empty = _blank(definition, tags, f"p({percentile:g})", "ms")
            found.append(_with_quantile(empty, quantile, intervals=intervals))
        if name == "http_req_duration":
            found.append(_typical_time(_blank(definition, tags, TYPICAL, "ms"), blocks[values]))
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
    effective = int(used.sum())
    residuals = sums[used] - mean * counts[used]
    error = math.sqrt(effective / (effective - 1) * float(residuals @ residuals)) / n
    reach = t_quantile((1 + CONFIDENCE) / 2, effective - 1) * error
    return replace(
        empty, value=value_ms, low=value_ms * math.exp(-reach), high=value_ms * math.exp(reach), n=n
    )


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
            empty = _blank(METRICS["http_req_failed"], tags, "rate", "ratio")
            found.append(_with_rate(empty, _by_time(failed, n, run.recorded_s)))
    return [*found, *_errors(run), *_throughput(run)]


_UNANSWERED = (RequestOutcome.FAILED, RequestOutcome.ABANDONED)


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
        found.append(_with_rate(empty, _by_time(causes[step, cause], totals[step], run.recorded_s)))
    return found


def _throughput(run: Run) -> list[RunMetric]:
    """Requests per second; more is better only in a closed workload, where users wait for answers."""
    counts = run.request_counts(lambda _: True).get(True)
    if counts is None or not counts.sum() or not run.meta.duration_s:
        return []
    n, length_s = int(counts.sum()), max(1, run.recorded_s)
    ends = poisson_interval(n)
    empty = _blank(METRICS["http_reqs"], (), "rate", "per_s")
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


def _with_rate(empty: RunMetric, counts: RateCounts) -> RunMetric:
    if not counts.n:
        return replace(empty, reason="nobody was counted")
    known = sum(n > 0 for _, n in counts.by_time) >= MIN_BLOCKS
    interval = rate_interval(counts) if known else None
    return replace(
        empty, value=counts.k / counts.n, n=counts.n,
        low=None if interval is None else interval.low, high=None if interval is None else interval.high,
    )  # fmt: skip


# Customers and orders


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
                found.append(_with_rate(_blank(definition, tags, "rate", "ratio"), counts))
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
            found.append(_with_share(_blank(definition, (), SHARE, "ratio"), counts))
    return found


def _with_share(empty: RunMetric, counts: CounterTotal) -> RunMetric:
    """Orders as a share; each is an independent event, as few customers order twice."""
    if not counts.n:
        return replace(empty, reason="there were no orders to count")
    share = clopper_pearson(min(counts.count, counts.n), counts.n)
    return replace(empty, value=share.ratio, low=share.low, high=share.high, n=counts.n)


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
