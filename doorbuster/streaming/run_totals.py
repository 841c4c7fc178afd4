"""Adds up the rows of a growing run file to totals since the start of the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from doorbuster.records.batch import HealthSecond, RequestSecond
from doorbuster.records.histogram import Histogram
from doorbuster.records.metadata import RunMeta
from doorbuster.records.row_stream import NewRows
from doorbuster.streaming.metric import Distribution, merged_histogram

K = TypeVar("K", bound=Hashable)


class RequestGroup(NamedTuple):
    """The labels by which a stream separates requests; journeys are merged."""

    channel: str
    step: str
    outcome: str
    cause: str


@dataclass
class RequestTotals:
    """Requests of one group."""

    n: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    response: Histogram = field(default_factory=Histogram.empty)
    first_byte: Histogram = field(default_factory=Histogram.empty)


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
    lateness: Histogram = field(default_factory=Histogram.empty)
    visits: Histogram = field(default_factory=Histogram.empty)
    max_in_flight: int = 0

    def add(self, rows: NewRows, workers: Mapping[int, str]) -> None:
        """Add new rows of the run file; `workers` holds their names."""
        reports = rows.reports
        times: dict[RequestGroup, list[RequestSecond]] = defaultdict(list)
        for row in reports.requests:
            series = row.series
            times[RequestGroup(series.channel, series.step, series.outcome, series.cause)].append(row)
        for key, found in times.items():
            group = self.requests[key]
            group.n += sum(row.n for row in found)
            group.bytes_sent += sum(row.bytes_sent for row in found)
            group.bytes_received += sum(row.bytes_received for row in found)
            group.response = _with(group.response, (row.response for row in found))
            group.first_byte = _with(group.first_byte, (row.first_byte for row in found))
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
        self.lateness = _with(self.lateness, (health.state.lateness for health in rows.health))
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def add_visits(self, durations: Iterable[bytes]) -> None:
        """Add packed durations of visits."""
        self.visits = _with(self.visits, durations)

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
        parts: dict[K, list[Histogram]] = {}
        for key, totals in self.requests.items():
            name = group(key)
            if name is not None:
                parts.setdefault(name, []).append(totals.first_byte if first_byte else totals.response)
        return {name: Distribution.of(*found) for name, found in parts.items()}


def _with(known: Histogram, packed: Iterable[bytes]) -> Histogram:
    """The histogram with further packed bins."""
    new = b"".join(packed)
    return merged_histogram((known, Histogram.from_blobs((new,)))) if new else known
