"""The measurements a worker sends to the master once a second, which writes them to the run file.

All values are additive. (worker, seq) identifies a batch, so that a batch that arrives late, twice or out of
order is counted once. Times are seconds since the start of the run; `second` is floor(intended start).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from doorbuster.errors import RecordError
from doorbuster.records.outcome import RequestOutcome

ASSET_STEPS = frozenset(
    ("asset_style", "asset_script", "asset_image")
)  # a test compares them with scenario's


class SeriesKey(NamedTuple):
    """Identifies a request histogram. `cause` is "" for ok, else one word such as "status_5xx"."""

    channel: str
    journey: str
    step: str
    outcome: str
    cause: str

    @property
    def is_asset(self) -> bool:
        """Whether its requests fetched static assets of pages, which are counted apart."""
        return self.step in ASSET_STEPS

    @property
    def succeeded(self) -> bool:
        """Whether its requests ended well."""
        return self.outcome == RequestOutcome.OK

    @property
    def has_latency(self) -> bool:
        """Whether latency quantiles include its requests; those of abandoned ones are lower bounds."""
        return self.outcome != RequestOutcome.FAILED


class RequestSecond(NamedTuple):
    """The requests of one series whose intended start falls into one second.

    `response` (end - intended start), `service` (end - actual start) and `first_byte` (first byte - actual
    start) are bins as packed by `histogram.pack`; `abandoned` requests are recorded when the customer
    gives up, so their times are lower bounds.
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
    """Customers with the same second of arrival and the same outcome.

    `browse` and `order` are 1 (could), 0 (could not) or None (did not want to, or the shop is not to blame:
    sold out, dropped). `step` and `cause` are "" for served customers.
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
    """Arrivals of one channel in one second of the schedule: customers started and customers dropped."""

    second: int
    channel: str
    started: int
    dropped: int


class OrderAttempt(NamedTuple):
    """One attempt to place an order, and the shop's answer."""

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
    """A single request kept in detail: among the slowest of its series or of its traced ones, or an error."""

    kind: str  # "slow" | "traced" | "error"
    second: int
    series: SeriesKey
    response_us: int
    request_id: str
    detail: str
    url: str = ""  # of a failed request, with secrets masked
    status: int = 0  # of its response, 0 without one
    trace_id: str = ""  # of a request that carried a traceparent header


class HealthSecond(NamedTuple):
    """State of the generator in one second; `lateness` (actual - intended start) is packed bins."""

    second: int
    cpu_ratio: float  # of one core, 1.0 = the process used a whole core
    loop_lag_ms: float  # worst delay of a timer in this second
    in_flight: int  # customers in the shop at the end of the second
    connections_opened: int
    reconnects: int
    rss_bytes: int
    lateness: bytes
    pool_wait_ms: float = 0.0  # total time requests waited for a free connection of their customer


class CounterSecond(NamedTuple):
    """Occurrences of one event, such as retries or reloads, in one second and channel."""

    second: int
    channel: str
    name: str
    n: int


class ThinkTimeSecond(NamedTuple):
    """Think times (us, packed bins) that began in a channel, by the second of the report."""

    second: int
    channel: str
    durations: bytes


class VisitDurationSecond(NamedTuple):
    """Visit durations (us, packed bins) by second of intended arrival, whatever the outcome."""

    second: int
    channel: str
    durations: bytes


class ConnectTimeSecond(NamedTuple):
    """Time steps of one series spent opening the connection of their first request.

    Only steps that opened one count; `durations` holds their times as packed bins.
    """

    second: int
    series: SeriesKey
    n: int
    total_us: int
    longest_us: int
    durations: bytes = b""


class SubsequentRequestsSecond(NamedTuple):
    """Requests a step made after its first: redirects, the critical requests of a page.

    `n` steps made `requests` of them; `durations` holds the time from the end of the first request to the
    end of the last, as packed bins. The sums cover the subsequent requests: connect, wait for the first byte,
    body.
    """

    second: int
    series: SeriesKey
    n: int
    requests: int
    connect_us: int
    wait_us: int
    body_us: int
    durations: bytes


class ServerTimingSecond(NamedTuple):
    """One Server-Timing entry in the responses of one series.

    `n` sampled responses had it; they represent `weight` responses and `total_us` in total, both estimated.
    An entry without a duration, such as a cache's HIT, keeps its `description`, and its `total_us` is 0.
    `durations` holds the sampled times as packed bins.
    """

    second: int
    series: SeriesKey
    entry: str
    description: str
    n: int
    weight: float
    total_us: float
    durations: bytes = b""


class FreshnessReading(NamedTuple):
    """Delay until one channel showed a change made `at_s` seconds after the start of the run.

    what: "price", "stock" or "basket".
    outcome: "seen" after `delay_s`; "stale", the old value until the timeout; "not_seen", neither value until
    the timeout; "cut_short" by the end of the run; "refused", the shop rejected the change (channel is "").
    `last_stale_s` is the last time the old value was shown. Both count from the change.
    `observations` counts the requests for the value, `not_seen` those whose response showed neither value.
    """

    at_s: float
    sku: str
    channel: str
    outcome: str
    delay_s: float | None
    last_stale_s: float | None
    observations: int
    not_seen: int
    what: str = "price"


class ObservedValue(NamedTuple):
    """One value of the target or its machine, as a source of `observe` read it.

    `second` is that of the reading, on the clock of the run. `labels` is a JSON object of texts with sorted
    keys. A counter is recorded as its increase per second.
    """

    second: int
    source: str
    name: str
    labels: str
    value: float


class Event(NamedTuple):
    """A single event: a worker lost, an abort rule that fired, a fault switched on."""

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One report of one worker; `seq` counts from 0 without gaps, `final` marks the last report."""

    worker: str
    seq: int
    final: bool = False
    requests: tuple[RequestSecond, ...] = ()
    customers: tuple[CustomerCount, ...] = ()
    arrivals: tuple[ArrivalCount, ...] = ()
    orders: tuple[OrderAttempt, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    health: tuple[HealthSecond, ...] = ()
    events: tuple[Event, ...] = ()
    counters: tuple[CounterSecond, ...] = ()
    think_times: tuple[ThinkTimeSecond, ...] = ()
    visit_durations: tuple[VisitDurationSecond, ...] = ()
    connect_times: tuple[ConnectTimeSecond, ...] = ()
    subsequent_requests: tuple[SubsequentRequestsSecond, ...] = ()
    server_timings: tuple[ServerTimingSecond, ...] = ()
    freshness: tuple[FreshnessReading, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """The batch as lists, strings, numbers and bytes, for msgpack."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Batch:
        """The batch `to_wire` encoded; msgpack turns tuples into lists, and this turns them back.

        Raises: RecordError for a malformed message, whose sender may be anybody who reaches the port.
        """
        try:
            rows = {name: tuple(_rows(kind, wire[name])) for name, kind in ROW_TYPES.items()}
            batch = cls(worker=wire["worker"], seq=wire["seq"], final=wire["final"], **rows)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"a malformed report of a worker: {type(error).__name__}: {error}") from None
        if type(batch.worker) is not str or type(batch.seq) is not int or type(batch.final) is not bool:
            raise RecordError("a malformed report of a worker: wrong types of worker, seq or final")
        if len(batch.worker) > MAX_WORKER_NAME or not 0 <= batch.seq < MAX_SEQ:
            raise RecordError("a malformed report of a worker: its name or number is too long")
        return batch


ROW_TYPES: dict[str, Any] = {  # by field of a batch
    name: get_args(hint)[0] for name, hint in get_type_hints(Batch).items() if get_origin(hint) is tuple
}


def _rows(kind: Any, rows: list[list[Any]]) -> Iterator[Any]:
    """Rows of one type from lists; a series and the lines of an order are tuples of their own."""
    series = kind._fields.index("series") if "series" in kind._fields else None
    lines = kind._fields.index("lines") if "lines" in kind._fields else None
    types = _FIELD_TYPES[kind]
    for row in map(list, rows):
        if series is not None:
            row[series] = _checked(SeriesKey(*row[series]), _FIELD_TYPES[SeriesKey])
        if lines is not None:
            row[lines] = tuple(_checked((sku, n, pence), _LINE_TYPES) for sku, n, pence in row[lines])
        yield _checked(kind._make(row), types)


def _checked(row: R, types: tuple[frozenset[type], ...]) -> R:
    """The row. Raises: TypeError for a value of another type, ValueError for one that SQLite cannot hold."""
    for value, allowed in zip(row, types, strict=True):
        if type(value) not in allowed:
            raise TypeError(f"{type(row).__name__} with a {type(value).__name__}")
        if type(value) is int and not -_LIMIT <= value < _LIMIT:
            raise ValueError(f"{type(row).__name__} with a number of more than 64 bits")
    return row


def _types_of(hint: Any) -> frozenset[type]:
    """The types that a field may have; a whole number may stand for a float."""
    found: set[type] = {get_origin(one) or one for one in (get_args(hint) or (hint,))}
    if get_origin(hint) is tuple:
        return frozenset({tuple})
    return frozenset(found | {int} if float in found else found)


MAX_WORKER_NAME, MAX_SEQ = 300, 10**9  # a second each
R = TypeVar("R", bound=tuple[Any, ...])
_LIMIT = 1 << 63
_LINE_TYPES = (frozenset({str}), frozenset({int}), frozenset({int}))
_FIELD_TYPES: dict[Any, tuple[frozenset[type], ...]] = {
    kind: tuple(_types_of(hint) for hint in get_type_hints(kind).values())
    for kind in (SeriesKey, *ROW_TYPES.values())
}
