"""Adds up the rows of a growing run file to totals since the start of the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from doorbuster.records.batch import HealthSecond
from doorbuster.records.histogram import BINS, Ints, unpack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.row_stream import NewRows
from doorbuster.streaming.metric import Distribution

K = TypeVar("K", bound=Hashable)


class RequestGroup(NamedTuple):
    """What tells requests apart in a stream; journeys are merged."""

    channel: str
    step: str
    outcome: str
    cause: str


def _counts() -> Ints:
    return np.zeros(BINS, np.int64)


@dataclass
class RequestTotals:
    """Requests of one group."""

    n: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    response: Ints = field(default_factory=_counts)
    first_byte: Ints = field(default_factory=_counts)


@dataclass
class Chances:
    """Customers of a channel who wanted to browse or to order, and those who could."""

    wanted: int = 0
    could: int = 0

    def add(self, could: int | None, n: int) -> None:
        if could is not None:
            self.wanted += n
            self.could += could * n


@dataclass
class RunTotals:
    """Everything counted since the start of the run."""

    meta: RunMeta | None = None
    planned: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    requests: dict[RequestGroup, RequestTotals] = field(default_factory=lambda: defaultdict(RequestTotals))
    customers: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    browse: dict[str, Chances] = field(default_factory=lambda: defaultdict(Chances))
    order: dict[str, Chances] = field(default_factory=lambda: defaultdict(Chances))
    started: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    dropped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    orders: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    counters: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    events: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    generator: dict[str, HealthSecond] = field(default_factory=dict)
    lateness: Ints = field(default_factory=_counts)
    visits: dict[str, Ints] = field(default_factory=lambda: defaultdict(_counts))
    max_in_flight: int = 0

    def add(self, rows: NewRows, workers: Mapping[int, str]) -> None:
        """Add new rows of the run file; `workers` holds their names."""
        reports = rows.reports
        for row in reports.requests:
            series = row.series
            group = self.requests[RequestGroup(series.channel, series.step, series.outcome, series.cause)]
            group.n += row.n
            group.bytes_sent += row.bytes_sent
            group.bytes_received += row.bytes_received
            _add_bins(group.response, row.response)
            _add_bins(group.first_byte, row.first_byte)
        for customer in reports.customers:
            self.customers[customer.channel, customer.outcome] += customer.n
            self.browse[customer.channel].add(customer.browse, customer.n)
            self.order[customer.channel].add(customer.order, customer.n)
        for arrived in reports.arrivals:
            self.started[arrived.channel] += arrived.started
            self.dropped[arrived.channel] += arrived.dropped
        for attempt in reports.orders:
            self.orders[attempt.channel, attempt.answer] += 1
        for counted in reports.counters:
            self.counters[counted.channel, counted.name] += counted.n
        for event in reports.events:
            self.events[event.kind] += 1
        for health in rows.health:
            self.generator[workers.get(health.worker, str(health.worker))] = health.state
            _add_bins(self.lateness, health.state.lateness)
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def add_visit(self, channel: str, durations: bytes) -> None:
        """Add packed durations of visits."""
        _add_bins(self.visits[channel], durations)

    @property
    def in_flight(self) -> int:
        """Customers in the shop, as the workers last reported."""
        return sum(state.in_flight for state in self.generator.values())

    def planned_until(self, at_s: float) -> dict[str, int]:
        """Arrivals of each channel that the plan has before this moment of the run."""
        return {
            channel: sum(n for second, n in per_second.items() if second < at_s)
            for channel, per_second in self.planned.items()
        }

    def merged(
        self, group: Callable[[RequestGroup], K | None], *, first_byte: bool = False
    ) -> dict[K, Distribution]:
        """Response times, or times to the first byte, added up by group; None leaves requests out."""
        sums: dict[K, Ints] = {}
        for key, totals in self.requests.items():
            name = group(key)
            if name is not None:
                bins = totals.first_byte if first_byte else totals.response
                sums[name] = sums[name] + bins if name in sums else bins.copy()
        return {name: Distribution(bins) for name, bins in sums.items()}


def _add_bins(counts: Ints, packed: bytes) -> None:
    if packed:
        found = unpack(packed)
        np.add.at(counts, found.bins, found.counts)
