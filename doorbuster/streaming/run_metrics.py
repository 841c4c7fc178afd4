"""The metrics of a run under doorbuster's own names.

`OWN_METRICS` is the list that docs/reference/streaming.md shows; a test compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from doorbuster.records.outcome import RequestOutcome
from doorbuster.streaming.metric import (
    Distribution,
    Labels,
    MetricKind,
    MetricPoint,
    StreamedMetric,
    labels,
)
from doorbuster.streaming.run_totals import RequestGroup, RunTotals

Points = Iterable[tuple[Labels, float | Distribution]]


class OwnMetric(NamedTuple):
    """A metric with its documentation and how its points are taken from the totals at a moment (s)."""

    name: str
    kind: MetricKind
    unit: str
    label_names: str
    meaning: str
    points: Callable[[RunTotals, float], Points]


def own_metrics(totals: RunTotals, at_s: float) -> tuple[StreamedMetric, ...]:
    """All metrics of a run `at_s` seconds after its start; every point carries its run_id."""
    run_id = totals.meta.run_id if totals.meta else ""
    return tuple(
        StreamedMetric(
            f"doorbuster_{metric.name}",
            metric.kind,
            metric.unit,
            metric.meaning,
            tuple(
                MetricPoint(tuple(sorted((*found, ("run_id", run_id)))), value)
                for found, value in metric.points(totals, at_s)
            ),
        )
        for metric in OWN_METRICS
    )


def has_latency(group: RequestGroup) -> bool:
    """Whether latency quantiles include its requests, as in reports and thresholds."""
    return group.outcome != RequestOutcome.FAILED


def _run_info(totals: RunTotals, _: float) -> Points:
    meta = totals.meta
    if meta is not None:
        yield labels(scenario=meta.scenario_name, title=meta.title), 1.0


def _by_channel(counts: Mapping[str, int]) -> Points:
    for channel, n in counts.items():
        yield labels(channel=channel), n


def _customers(totals: RunTotals, _: float) -> Points:
    for (channel, outcome), n in totals.customers.items():
        yield labels(channel=channel, outcome=outcome), n


def _requests(totals: RunTotals, _: float) -> Points:
    for group, found in totals.requests.items():
        yield labels(**group._asdict()), found.n


def _response_times(totals: RunTotals, _: float) -> Points:
    times = totals.merged(
        lambda group: (group.channel, group.step, group.outcome) if has_latency(group) else None
    )
    for (channel, step, outcome), found in times.items():
        yield labels(channel=channel, step=step, outcome=outcome), found


def _orders(totals: RunTotals, _: float) -> Points:
    for (channel, answer), n in totals.orders.items():
        yield labels(channel=channel, answer=answer), n


def _counters(totals: RunTotals, _: float) -> Points:
    for (channel, name), n in totals.counters.items():
        yield labels(channel=channel, name=name), n


def _events(totals: RunTotals, _: float) -> Points:
    for kind, n in totals.events.items():
        yield labels(kind=kind), n


def _bytes(totals: RunTotals, attribute: str) -> Points:
    sums: dict[str, int] = {}
    for group, found in totals.requests.items():
        sums[group.channel] = sums.get(group.channel, 0) + getattr(found, attribute)
    return _by_channel(sums)


def _of_workers(totals: RunTotals, attribute: str, factor: float = 1.0) -> Points:
    for worker, state in totals.generator.items():
        yield labels(worker=worker), getattr(state, attribute) * factor


def _chances(chances: str, attribute: str) -> Callable[[RunTotals, float], Points]:
    def points(totals: RunTotals, _: float) -> Points:
        for channel, found in getattr(totals, chances).items():
            yield labels(channel=channel), getattr(found, attribute)

    return points


OWN_METRICS = (
    OwnMetric("run_info", "gauge", "", "scenario, title", "1 for each run", _run_info),
    OwnMetric("run_time_seconds", "gauge", "seconds", "", "time since the first planned arrival",
              lambda _, at_s: [((), at_s)]),
    OwnMetric("planned_customers_total", "counter", "", "channel", "arrivals due so far by the plan",
              lambda totals, at_s: _by_channel(totals.planned_until(at_s))),
    OwnMetric("started_customers_total", "counter", "", "channel", "customers who were started",
              lambda totals, _: _by_channel(totals.started)),
    OwnMetric("dropped_customers_total", "counter", "", "channel", "arrivals the generator did not start",
              lambda totals, _: _by_channel(totals.dropped)),
    OwnMetric("customers_total", "counter", "", "channel, outcome", "customers whose visit has ended",
              _customers),
    OwnMetric("customers_in_shop", "gauge", "", "", "customers in the shop now",
              lambda totals, _: [((), totals.in_flight)]),
    OwnMetric("wanted_to_browse_total", "counter", "", "channel", "customers who wanted to see pages",
              _chances("browse", "wanted")),
    OwnMetric("could_browse_total", "counter", "", "channel", "customers who saw the pages they came for",
              _chances("browse", "could")),
    OwnMetric("wanted_to_order_total", "counter", "", "channel", "customers who wanted to order",
              _chances("order", "wanted")),
    OwnMetric("could_order_total", "counter", "", "channel", "customers whose order was acknowledged",
              _chances("order", "could")),
    OwnMetric("orders_total", "counter", "", "channel, answer", "attempts to order, by the shop's answer",
              _orders),
    OwnMetric("requests_total", "counter", "", "channel, step, outcome, cause",
              "requests that have ended; outcome is ok, failed or abandoned", _requests),
    OwnMetric("response_time_seconds", "distribution", "seconds", "channel, step, outcome",
              "time from the intended start of answered and abandoned requests, as in the report",
              _response_times),
    OwnMetric("sent_bytes_total", "counter", "bytes", "channel", "bytes of requests",
              lambda totals, _: _bytes(totals, "bytes_sent")),
    OwnMetric("received_bytes_total", "counter", "bytes", "channel", "bytes of responses",
              lambda totals, _: _bytes(totals, "bytes_received")),
    OwnMetric("occurrences_total", "counter", "", "channel, name", "retries, reloads and other counters",
              _counters),
    OwnMetric("events_total", "counter", "", "kind", "events of the run, such as faults and lost workers",
              _events),
    OwnMetric("generator_cpu_ratio", "gauge", "", "worker", "CPU of a worker process; 1 is a whole core",
              lambda totals, _: _of_workers(totals, "cpu_ratio")),
    OwnMetric("generator_loop_lag_seconds", "gauge", "seconds", "worker",
              "worst delay of a timer in a worker's last second",
              lambda totals, _: _of_workers(totals, "loop_lag_ms", 1e-3)),
    OwnMetric("generator_lateness_seconds", "distribution", "seconds", "",
              "start delay of customers, caused by the generator",
              lambda totals, _: [((), Distribution(totals.lateness))]),
)  # fmt: skip
