"""The share of customers who could browse or order, with its interval: one function for every place.

Thresholds, the verdict, the sections and every output format take the value and the interval from here, so
that one figure has one interval everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from doorbuster.gate.accumulate import MetricAccumulator, Selector
from doorbuster.gate.estimate import rate_interval
from doorbuster.records.batch import CustomerCount
from doorbuster.scenario.demand.phases import Seconds
from doorbuster.scenario.thresholds.metrics import METRICS
from doorbuster.stats.proportion import ProportionEstimate

EVERYONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChannelRate:
    """A rate of one channel."""

    channel: str
    rate: ProportionEstimate


def customer_rate(
    rows: Iterable[CustomerCount],
    metric: str,
    tags: Mapping[str, str] = EVERYONE,
    *,
    seconds: Seconds | None = None,
) -> ProportionEstimate:
    """A rate over customers, such as "can_order", with its 95 % interval.

    Args:
        rows: of `Run.customers()`, second by second: wider buckets would shift the time blocks.
        tags: only customers of this channel or journey.
        seconds: only customers due in these.
    """
    found = MetricAccumulator(METRICS[metric], Selector(dict(tags), seconds))
    found.add_customers(rows)
    return rate_interval(found.rate())


def worst_channel(
    rows: Iterable[CustomerCount], metric: str, tags: Mapping[str, str] = EVERYONE
) -> ChannelRate | None:
    """The channel that did worst, where its interval says that it did worse than all channels together."""
    rows = tuple(rows)
    every = customer_rate(rows, metric, tags)
    if every.ratio is None:
        return None
    sign = -1.0 if METRICS[metric].better == "higher" else 1.0
    worse = []
    for channel in sorted({row.channel for row in rows}):
        found = customer_rate(rows, metric, {**tags, "channel": channel})
        nearest = found.high if sign < 0 else found.low
        if found.ratio is not None and sign * nearest > sign * every.ratio:
            worse.append(ChannelRate(channel, found))
    return max(worse, key=lambda one: sign * (one.rate.ratio or 0.0), default=None)
