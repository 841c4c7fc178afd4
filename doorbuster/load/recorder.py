"""What happens in one worker, gathered cheaply and handed over once a second.

The request path only appends to lists; binning into histograms happens in `take`, vectorised. Everything is
keyed by the second of the *intended* start, so that a stall shows up when customers came, not when their
answers did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    Event,
    Exemplar,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack

SLOWEST_PER_TAKE = 1  # exemplars kept per series and report
FIRST_ERRORS = 3  # exemplars kept per kind of failure, per worker and run

CustomerKey = tuple[int, str, str, str, str, str, int | None, int | None]


@dataclass(slots=True)
class SeriesSamples:
    """Raw samples of one series in one second, in microseconds."""

    response_us: list[int] = field(default_factory=list)
    service_us: list[int] = field(default_factory=list)
    first_byte_us: list[int] = field(default_factory=list)
    bytes_sent: int = 0
    bytes_received: int = 0
    slowest_us: int = -1
    slowest_id: str = ""


@dataclass(frozen=True, slots=True)
class StepSample:
    """One finished step: times in microseconds, sizes in bytes."""

    response_us: int
    service_us: int
    first_byte_us: int
    lateness_us: int
    bytes_sent: int
    bytes_received: int
    request_id: str
    detail: str


class Recorder:
    """Gathers one worker's observations; `take` empties it into the next numbered batch."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.requests_total = 0
        self._seq = 0
        self._samples: dict[tuple[int, SeriesKey], SeriesSamples] = {}
        self._lateness_us: list[int] = []
        self._customers: Counter[CustomerKey] = Counter()
        self._started: Counter[tuple[int, str]] = Counter()
        self._dropped: Counter[tuple[int, str]] = Counter()
        self._orders: list[OrderAttempt] = []
        self._events: list[Event] = []
        self._errors: list[Exemplar] = []
        self._errors_seen: Counter[tuple[str, str]] = Counter()

    def step(self, second: int, series: SeriesKey, sample: StepSample) -> None:
        """Record one finished step of a customer."""
        samples = self._samples.get((second, series))
        if samples is None:
            samples = self._samples[second, series] = SeriesSamples()
        samples.response_us.append(sample.response_us)
        samples.service_us.append(sample.service_us)
        samples.first_byte_us.append(sample.first_byte_us)
        samples.bytes_sent += sample.bytes_sent
        samples.bytes_received += sample.bytes_received
        if sample.response_us > samples.slowest_us:
            samples.slowest_us, samples.slowest_id = sample.response_us, sample.request_id
        self._lateness_us.append(sample.lateness_us)
        self.requests_total += 1
        if series.outcome == "failed":
            self._note_error(second, series, sample)

    def customer(self, key: CustomerKey) -> None:
        """Record how one customer left; called exactly once for each."""
        self._customers[key] += 1

    def started(self, second: int, channel: str) -> None:
        self._started[second, channel] += 1

    def dropped(self, second: int, channel: str) -> None:
        self._dropped[second, channel] += 1

    def lateness(self, lateness_us: int) -> None:
        """Record how late the generator was with something other than a step, such as an arrival."""
        self._lateness_us.append(lateness_us)

    def order(self, attempt: OrderAttempt) -> None:
        self._orders.append(attempt)

    def event(self, event: Event) -> None:
        self._events.append(event)

    def raw(self) -> dict[tuple[int, SeriesKey], SeriesSamples]:
        """The samples since the last `take`, for live views that want them unbinned."""
        return self._samples

    def take(self, health: HealthSecond | None, *, final: bool = False) -> Batch:
        """Everything since the last call, as the next batch.

        `health` comes without its lateness histogram, which is filled in here.
        """
        samples, self._samples = self._samples, {}
        lateness_us, self._lateness_us = self._lateness_us, []
        customers, self._customers = self._customers, Counter()
        started, self._started = self._started, Counter()
        dropped, self._dropped = self._dropped, Counter()
        orders, self._orders = self._orders, []
        events, self._events = self._events, []
        errors, self._errors = self._errors, []
        slow = _slowest(samples)
        batch = Batch(
            worker=self.worker,
            seq=self._seq,
            final=final,
            requests=tuple(_binned(second, series, rows) for (second, series), rows in samples.items()),
            customers=tuple(CustomerCount(*key, n) for key, n in customers.items()),
            arrivals=tuple(
                ArrivalCount(second, channel, started[second, channel], dropped[second, channel])
                for second, channel in sorted(started.keys() | dropped.keys())
            ),
            orders=tuple(orders),
            exemplars=(*slow, *errors),
            health=() if health is None else (health._replace(lateness=pack(lateness_us)),),
            events=tuple(events),
        )
        self._seq += 1
        return batch

    def _note_error(self, second: int, series: SeriesKey, sample: StepSample) -> None:
        kind = (series.step, series.cause)
        if self._errors_seen[kind] >= FIRST_ERRORS:
            return
        self._errors_seen[kind] += 1
        self._errors.append(
            Exemplar("error", second, series, sample.response_us, sample.request_id, sample.detail)
        )


def _binned(second: int, series: SeriesKey, samples: SeriesSamples) -> RequestSecond:
    return RequestSecond(
        second=second,
        series=series,
        n=len(samples.response_us),
        bytes_sent=samples.bytes_sent,
        bytes_received=samples.bytes_received,
        response=pack(samples.response_us),
        service=pack(samples.service_us),
        first_byte=pack(samples.first_byte_us),
    )


def _slowest(samples: dict[tuple[int, SeriesKey], SeriesSamples]) -> list[Exemplar]:
    """The slowest request of each series in this report."""
    best: dict[SeriesKey, list[Exemplar]] = defaultdict(list)
    for (second, series), rows in samples.items():
        best[series].append(Exemplar("slow", second, series, rows.slowest_us, rows.slowest_id, ""))
    return [
        exemplar
        for candidates in best.values()
        for exemplar in sorted(candidates, key=lambda row: -row.response_us)[:SLOWEST_PER_TAKE]
    ]
