"""One metric of one run, and its key.

A key names a metric as a threshold would, with sorted tags: "http_req_duration{channel:web,step:pay} p(95)".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from doorbuster.gate.estimate import rate_interval
from doorbuster.gate.threshold_result import CounterTotal, RateCounts
from doorbuster.scenario.thresholds.language import Tag, Threshold
from doorbuster.scenario.thresholds.metrics import METRICS, AuditFinding, MetricDefinition, Orders
from doorbuster.stats.design_effect import CONFIDENCE, MIN_BLOCKS
from doorbuster.stats.proportion import clopper_pearson

MetricUnit = Literal["ms", "ratio", "count", "per_s", "value"]
Direction = Literal["lower", "higher", ""]

SERVER_TIME = "server_time"
ERRORS = "errors"
SHARE = "share"
TYPICAL = "typical"  # the geometric mean


@dataclass(frozen=True, slots=True)
class RunMetric:
    """One metric of one run.

    `value` is None without enough data, and `reason` then says why. `low` and `high` are the ends of its 95 %
    interval within this run; None when the run has none. `at_least`: too many customers left, so the
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
    return metric_key(threshold.metric, threshold.tags, aggregation_of(threshold))


def counts_orders(metric: str) -> bool:
    """Whether it counts orders among those it could have happened to, so that runs compare its share."""
    definition = METRICS.get(metric)
    return definition is not None and isinstance(definition.counting, Orders | AuditFinding)


def aggregation_of(threshold: Threshold) -> str:
    if threshold.percentile is not None:
        return f"p({threshold.percentile:g})"
    return SHARE if counts_orders(threshold.metric) else threshold.aggregation


def blank_metric(
    definition: MetricDefinition, tags: Iterable[Tag], aggregation: str, unit: MetricUnit
) -> RunMetric:
    chosen = tuple(sorted(tags))
    key = metric_key(definition.name, chosen, aggregation)
    return RunMetric(key, definition.name, chosen, aggregation, unit, definition.better, None)


def with_rate(empty: RunMetric, counts: RateCounts) -> RunMetric:
    if not counts.n:
        return replace(empty, reason="there were no customers to count")
    known = sum(n > 0 for _, n in counts.by_time) >= MIN_BLOCKS
    interval = rate_interval(counts) if known else None
    return replace(
        empty, value=counts.k / counts.n, n=counts.n,
        low=None if interval is None else interval.low, high=None if interval is None else interval.high,
    )  # fmt: skip


def with_share(empty: RunMetric, counts: CounterTotal) -> RunMetric:
    """Orders as a share; each is an independent event, as few customers order twice."""
    if not counts.n:
        return replace(empty, reason="there were no orders to count")
    share = clopper_pearson(min(counts.count, counts.n), counts.n)
    return replace(empty, value=share.ratio, low=share.low, high=share.high, n=counts.n)


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact 95 % interval of the mean of a Poisson count.

    Source: Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28.
    """
    from scipy.special import gammaincinv

    tail = (1 - CONFIDENCE) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))
