"""What one worker saw since its last report: the values that travel from worker to master to run file.

Everything is additive. A batch carries (worker, seq), so that a report that arrives late, twice or out of
order is counted once. Times are seconds since the start of the run; a `second` is floor(intended start).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class SeriesKey(NamedTuple):
    """What a request histogram is about. `cause` is "" for ok, else one word such as "status_5xx"."""

    channel: str
    journey: str
    step: str
    outcome: str
    cause: str


class RequestSecond(NamedTuple):
    """All requests of one series whose intended start fell into one second.

    `response` (end - intended start), `service` (end - actual start) and `first_byte` (first byte - actual
    start) are bins as packed by `histogram.pack`; `abandoned` requests are recorded at the moment the
    customer gave up, so their times are lower bounds.
    """

    second: int
    series: SeriesKey
    n: int
    bytes_sent: int
    bytes_received: int
    response: bytes
    service: bytes
    first_byte: bytes


class CustomerCount(NamedTuple):
    """How many customers with this intended arrival second left in this way.

    `browse` and `order` are 1 (could), 0 (could not) or None (did not want to, or cannot be blamed on the
    shop: sold out, dropped). `step` and `cause` are "" for served customers.
    """

    second: int
    channel: str
    journey: str
    outcome: str
    step: str
    cause: str
    browse: int | None
    order: int | None
    n: int


class ArrivalCount(NamedTuple):
    """Arrivals of one channel in one second of the schedule: how many were started, how many dropped."""

    second: int
    channel: str
    started: int
    dropped: int


class OrderAttempt(NamedTuple):
    """One order a customer tried to place, and what the shop answered."""

    idempotency_key: str
    channel: str
    journey: str
    intended_s: float
    answered_s: float
    answer: str
    cause: str
    order_ref: str
    total_pence: int
    lines: tuple[tuple[str, int, int], ...]  # (sku, quantity, unit price in pence)


class Exemplar(NamedTuple):
    """One request worth looking at: the slowest of its series, or the first of its kind of error."""

    kind: str  # "slow" | "error"
    second: int
    series: SeriesKey
    response_us: int
    request_id: str
    detail: str


class HealthSecond(NamedTuple):
    """How the generator itself fared in one second; `lateness` (actual - intended start) is packed bins."""

    second: int
    cpu_ratio: float  # of one core, 1.0 = the process used a whole core
    loop_lag_ms: float  # worst delay of a timer in this second
    in_flight: int  # customers in the shop at the end of the second
    connections_opened: int
    reconnects: int
    rss_bytes: int
    lateness: bytes
    pool_wait_ms: float = 0.0  # that requests waited for a free connection of their customer, all together


class CounterSecond(NamedTuple):
    """How often something happened in one second and channel; names are such as retries or reloads."""

    second: int
    channel: str
    name: str
    n: int


class ThinkSecond(NamedTuple):
    """Think times (us, packed bins) that customers of a channel began, reported in this second."""

    second: int
    channel: str
    think: bytes


class StaySecond(NamedTuple):
    """How long (us, packed bins) customers with this intended arrival second stayed, however they left."""

    second: int
    channel: str
    stay: bytes


class ConnectSecond(NamedTuple):
    """Time that steps of one series spent opening their first connection; only steps that opened one.

    `connect` are these times as packed bins.
    """

    second: int
    series: SeriesKey
    n: int
    total_us: int
    longest_us: int
    connect: bytes = b""


class LaterSecond(NamedTuple):
    """What came after the first request of steps that made several: redirects, a page's critical requests.

    `n` steps made `requests` more; `later` are packed bins of the time from the end of the first request to
    the end of the last. The sums are of those later requests: connecting, until the first byte, the body.
    """

    second: int
    series: SeriesKey
    n: int
    requests: int
    connect_us: int
    wait_us: int
    body_us: int
    later: bytes


class ServerTimingSecond(NamedTuple):
    """What answers of one series said in one entry of Server-Timing.

    `n` answers were read that named it; they stand for `stands_for` answers, which took `total_us` in it,
    both estimated. `description` is kept of entries without a duration, such as a cache's HIT; their
    `total_us` is 0. `took` are the times of the answers read, as packed bins.
    """

    second: int
    series: SeriesKey
    entry: str
    description: str
    n: int
    stands_for: float
    total_us: float
    took: bytes = b""


class FreshnessReading(NamedTuple):
    """How long one channel took to show what was changed `at_s` seconds after the start of the run.

    what: "price", "stock" or "basket".
    outcome: "seen" after `took_s`; "stale", as before until the timeout; "unread", no word of it until then;
    "cut_short" by the end of the run; "refused", the shop did not take the change (channel is "").
    `old_until_s` is when it was last asked and still showed what was before. Both count from the change.
    `looks` is how often it was asked, `unread` how often it did not say.
    """

    at_s: float
    sku: str
    channel: str
    outcome: str
    took_s: float | None
    old_until_s: float | None
    looks: int
    unread: int
    what: str = "price"  # all that a run measured before format 4


class Event(NamedTuple):
    """Something that happened once: a worker lost, a rule that fired, a fault switched on."""

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One report of one worker; `seq` counts from 0 without gaps, `final` marks the last."""

    worker: str
    seq: int
    final: bool = False
    requests: tuple[RequestSecond, ...] = ()
    customers: tuple[CustomerCount, ...] = ()
    arrivals: tuple[ArrivalCount, ...] = ()
    orders: tuple[OrderAttempt, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    health: tuple[HealthSecond, ...] = ()
    events: tuple[Event, ...] = field(default=())
    counters: tuple[CounterSecond, ...] = ()
    thinks: tuple[ThinkSecond, ...] = ()
    stays: tuple[StaySecond, ...] = ()
    connects: tuple[ConnectSecond, ...] = ()
    later: tuple[LaterSecond, ...] = ()
    server_timings: tuple[ServerTimingSecond, ...] = ()
    freshness: tuple[FreshnessReading, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """Plain lists, strings, numbers and bytes, as msgpack carries them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Batch:
        """The batch that `to_wire` described; msgpack turns tuples into lists, this turns them back."""

        def series(row: list[str]) -> SeriesKey:
            return SeriesKey(*row)

        return cls(
            worker=wire["worker"],
            seq=wire["seq"],
            final=wire["final"],
            requests=tuple(RequestSecond(r[0], series(r[1]), *r[2:]) for r in wire["requests"]),
            customers=tuple(CustomerCount(*r) for r in wire["customers"]),
            arrivals=tuple(ArrivalCount(*r) for r in wire["arrivals"]),
            orders=tuple(
                OrderAttempt._make((*r[:9], tuple(tuple(line) for line in r[9]))) for r in wire["orders"]
            ),
            exemplars=tuple(Exemplar._make((*r[:2], series(r[2]), *r[3:])) for r in wire["exemplars"]),
            health=tuple(HealthSecond(*r) for r in wire["health"]),
            events=tuple(Event(*r) for r in wire["events"]),
            counters=tuple(CounterSecond(*r) for r in wire["counters"]),
            thinks=tuple(ThinkSecond(*r) for r in wire["thinks"]),
            stays=tuple(StaySecond(*r) for r in wire["stays"]),
            connects=tuple(ConnectSecond(r[0], series(r[1]), *r[2:]) for r in wire["connects"]),
            later=tuple(LaterSecond(r[0], series(r[1]), *r[2:]) for r in wire["later"]),
            server_timings=tuple(
                ServerTimingSecond(r[0], series(r[1]), *r[2:]) for r in wire["server_timings"]
            ),
            freshness=tuple(FreshnessReading(*r) for r in wire["freshness"]),
        )
