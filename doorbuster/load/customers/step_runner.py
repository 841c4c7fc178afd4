"""Taking steps: request after request, each with the customer's patience; thinking between them; the record.

Rules:
- A step's clock starts at its *intended* start: the arrival, or the end of the think time. A step that is
  tried again is a request of its own each time, due at the end of the wait before it (see insistence).
- Leaving is an exception (`VisitEnded`), so a journey reads as the story of a customer who gets through.
- Hot path: allocate nothing per step except the recorded row. The class compiles (`hatch_build.py`), which
  Locust's `User` cannot; `CustomerUser` joins the two. Inner parts are functions, because a compiled class
  that others may extend calls its own methods no faster than Python does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import gevent

from doorbuster.load.customers.model import Arrival, CustomerProfile, Sampler, VisitEnded
from doorbuster.load.customers.retry_policy import StepRetry, is_retryable
from doorbuster.load.customers.session import ContentCheckingSession, StepSession
from doorbuster.load.engine.recorder import Recorder, StepRow
from doorbuster.load.engine.sleep_scheduler import SleepScheduler
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.records.batch import SeriesKey
from doorbuster.records.outcome import Cause, Outcome, RequestOutcome
from doorbuster.scenario.customers.resilience import WAITING_ROOM
from doorbuster.storefronts import Client, Rejected, Storefront, Visit, WaitingRoomError

if TYPE_CHECKING:
    from doorbuster.load.engine.generator import Generator

T = TypeVar("T")
StorefrontSession = tuple[StepSession, Storefront]

BROWSE_STEPS: Final = frozenset(("home", "category", "search", "product", "landing"))
# Answers after which the shop has certainly not booked the order; anything else leaves it unknown.
REFUSALS: Final = frozenset(
    ("sold_out", "busy_page", "status_4xx", "connect_refused", "dns", "connect_timeout")
)
_TIMEOUTS: Final = frozenset(("first_byte_timeout", "total_timeout", "connect_timeout"))


@mypyc_attr(allow_interpreted_subclasses=True)
class StepRunner:
    """A customer as far as they take steps; `arrive` comes first.

    at_step: the step under way, or the last one.
    """

    arrival: Arrival
    errand: CustomerProfile
    generator: Generator
    rng: Random
    visit: Visit
    session: StepSession
    shop: Storefront
    at_step: str = ""
    _recorder: Recorder
    _dormitory: SleepScheduler
    _patience: Sampler
    _next_at: float = 0.0
    _browse: int | None = None
    _order: int | None = None
    _in_doubt: bool = False
    _reloads_pages: bool | None = None

    def arrive(self, arrival: Arrival, errand: CustomerProfile, generator: Generator) -> None:
        """Tell the customer who they are; nothing is sent before the greenlet runs."""
        self.arrival = arrival
        self.generator = generator
        self._recorder = generator.recorder
        self._dormitory = generator.dormitory
        self.rng = rng = Random(f"{generator.scenario.seed}/{arrival.name}")
        self.errand = errand
        self.visit = visit = errand.visit(arrival.name, rng)
        by_device = errand.patience_with
        self._patience = errand.patience if by_device is None else by_device[visit.device]
        self.session, self.shop = self._face_of(errand)
        self._next_at = arrival.intended_at
        self._order = 0 if errand.wants_order else None

    def _face_of(self, errand: CustomerProfile) -> StorefrontSession:
        """What this customer sees the shop through in the errand's channel, and what they see."""
        generator = self.generator
        place = generator.place(self.arrival.channel)
        session = errand.session(place.url, generator.http_settings)
        shop = errand.driver(
            cast(Client, session),
            channel=errand.channel,
            catalogue=place.catalogue,
            rng=self.rng,
            visit=self.visit,
        )
        return session, shop

    # ---- what journeys use

    def step(self, action: Callable[..., T], *args: Any) -> T:
        """Do one step and return what the shop gave; leave if it fails or takes too long.

        What "fails" means to these people and machines is the channel's: see insistence.

        Raises:
            Rejected: the shop said no and was right to (sold out); a journey may choose something else.
            VisitEnded: anything else that ends the visit; journeys let it pass.
        """
        until = _patience_ends(self)
        try:
            return _attempt(self, action, args, until)
        except (VisitEnded, WaitingRoomError) as failed_attempt:
            first = failed_attempt
        try:
            return _retry_step(self, action, args, first, StepRetry(self, until, reload=True))
        except VisitEnded as leave:
            if leave.step in BROWSE_STEPS:
                self._browse = 0  # whoever is stopped while looking around could not browse
            raise

    def try_step(self, action: Callable[..., T], *args: Any) -> T | None:
        """Do a step that may fail, such as recommendations; returns None then, and the visit goes on.

        The failure is recorded like any other. Nobody reloads a page for the sake of such a part.
        """
        until = _patience_ends(self)
        try:
            return _attempt(self, action, args, until)
        except (VisitEnded, WaitingRoomError) as failed_attempt:
            first = failed_attempt
        except Rejected:
            return None
        try:
            return _retry_step(self, action, args, first, StepRetry(self, until, reload=False))
        except (VisitEnded, Rejected):
            now = self._next_at = perf_counter()
            self.count(f"degraded:{action.__name__}", now)
            return None

    def think(self) -> None:
        """Read, decide, look for the purse: a draw from the channel's think time.

        In a closed channel nobody thinks past the end of the run: the last call is brought to its end.
        """
        errand = self.errand
        think_s = errand.think(self.rng)
        self._recorder.thought(errand.channel, think_s)
        until = self._next_at + think_s
        if errand.seated:
            until = min(until, max(self._next_at, self.generator.closes_at))
        self._next_at = until
        self._dormitory.nap(until)

    # ---- what insisting needs

    def now(self) -> float:
        """The clock by which the customer waits."""
        return perf_counter()

    def rest_until(self, at: float) -> None:
        """Do nothing until `at`, a reading of `perf_counter`; what comes next is due then."""
        self._next_at = at
        self._dormitory.nap(at)

    def count(self, name: str, at: float) -> None:
        """Count something that is done at `at` in the customer's channel."""
        self._recorder.count(int(at - self.generator.started_at), self.errand.channel, name)

    def draw_patience_s(self) -> float:
        """How long the customer waits for a page that is asked for anew."""
        return self._patience(self.rng)

    def reloads_pages(self, share_ratio: float) -> bool:
        """Whether this is one of the people who reload; the same in the whole visit."""
        if self._reloads_pages is None:
            self._reloads_pages = self.rng.random() < share_ratio
        return self._reloads_pages


def _patience_ends(taker: StepRunner) -> float:
    """When the customer gives up a step that begins now; beginning one earns a part of a retry."""
    budget = taker.errand.budget
    if budget is not None:
        budget.earn()
    return taker._next_at + taker._patience(taker.rng)


def _retry_step(
    taker: StepRunner,
    action: Callable[..., T],
    args: tuple[Any, ...],
    failed_attempt: VisitEnded | WaitingRoomError,
    how: StepRetry,
) -> T:
    """Attempt it again for as long as the customer does; raises VisitEnded when they do not."""
    while True:
        how.wait(failed_attempt)
        try:
            return _attempt(taker, action, args, how.until)
        except (VisitEnded, WaitingRoomError) as another:
            failed_attempt = another


def _attempt(taker: StepRunner, action: Callable[..., T], args: tuple[Any, ...], until: float) -> T:
    """One request for a step, recorded whatever becomes of it.

    Raises: Rejected if expected; VisitEnded on failure or timeout; WaitingRoomError if put into a queue.
    """
    name = taker.at_step = action.__name__
    errand = taker.errand
    limit_at = taker._next_at + errand.limit_s
    deadline_at = until if until < limit_at else limit_at
    taker.session.open(name, intended_at=taker._next_at, deadline_at=deadline_at)
    try:
        result = action(*args)
        if errand.rules is not None:
            _check(taker, name)
    except Rejected as refusal:
        if refusal.expected:
            _answered(taker, name)
            raise
        raise _set_back(taker, name, refusal, patience_ended=deadline_at == until) from refusal
    except WaitingRoomError:
        _answered(taker, WAITING_ROOM)
        raise
    except gevent.GreenletExit:
        _fell_short(taker, name, RequestOutcome.ABANDONED, Cause.INTERRUPTED, "")
        raise
    _answered(taker, name)
    return result


def _check(taker: StepRunner, name: str) -> None:
    """Look at the answer the driver was content with. Raises: Rejected if it breaks a content rule."""
    rules = taker.errand.rules(name) if taker.errand.rules is not None else ()
    breach = cast(ContentCheckingSession, taker.session).breach(rules)
    if breach is not None:
        taker._in_doubt = True  # an order may well have been booked
        raise breach


def _answered(taker: StepRunner, name: str) -> None:
    errand = taker.errand
    number = errand.answered.get(name)
    if number is None:
        key = SeriesKey(errand.channel, errand.journey, name, RequestOutcome.OK, "")
        number = errand.answered[name] = taker._recorder.number_of(key)
    _record(taker, number, inf)
    if taker._browse is None and name in BROWSE_STEPS:
        taker._browse = 1
    taker._next_at = perf_counter()


def _set_back(taker: StepRunner, name: str, refusal: Rejected, *, patience_ended: bool) -> VisitEnded:
    """The attempt as recorded, and how the customer leaves unless they insist."""
    cause = refusal.cause
    last = taker.session.exchanges[-1] if taker.session.exchanges else None
    told_s = last.retry_after_s if last is not None else None
    taker._in_doubt = taker._in_doubt or cause not in REFUSALS
    if patience_ended and cause in _TIMEOUTS:
        _fell_short(taker, name, RequestOutcome.ABANDONED, Cause.PATIENCE, refusal.detail)
        return VisitEnded(Outcome.ABANDONED, name, Cause.PATIENCE)
    _fell_short(taker, name, RequestOutcome.FAILED, cause, refusal.detail)
    return VisitEnded(
        Outcome.TURNED_AWAY, name, cause,
        is_retryable=is_retryable(cause, last),
        retry_after_s=max(told_s or 0.0, refusal.retry_after_s or 0.0),
    )  # fmt: skip


def _fell_short(taker: StepRunner, name: str, outcome: str, cause: str, detail: str) -> None:
    """Record a step without an answer that helps; one that was abandoned ends when the customer left."""
    recorder = taker._recorder
    number = recorder.number_of(SeriesKey(taker.errand.channel, taker.errand.journey, name, outcome, cause))
    row = _record(taker, number, perf_counter() if outcome == RequestOutcome.ABANDONED else inf)
    if outcome == RequestOutcome.FAILED:
        recorder.failure(row, detail)


def _record(taker: StepRunner, number: int, left_at: float) -> StepRow:
    """Note the step as it was, over all its requests; `left_at` is infinite unless the customer left."""
    recorder, exchanges, intended_at = taker._recorder, taker.session.exchanges, taker._next_at
    row: StepRow
    if not exchanges:  # no request was made, or it was broken off
        ended_at = left_at if left_at < inf else perf_counter()
        row = (number, intended_at, intended_at, ended_at, ended_at, 0, 0, "")
    else:
        first = last = exchanges[0]
        sent, received = first.bytes_sent, first.bytes_received
        if len(exchanges) > 1:
            last = exchanges[-1]
            sent = sum([exchange.bytes_sent for exchange in exchanges])
            received = sum([exchange.bytes_received for exchange in exchanges])
        if not first.reused or last is not first:
            taker.generator.count_connections(exchanges)
            if first.connect_s:
                recorder.connects.append((number, intended_at, first.connect_s))
            if last is not first:
                recorder.later.append((number, intended_at, exchanges[:]))
        if first.server_timing and not len(recorder.steps) % recorder.stride:
            said = first.server_timing
            if last is not first:
                said = ", ".join([one.server_timing for one in exchanges if one.server_timing])
            recorder.told.append((number, intended_at, said))
        ended_at = last.ended_at if left_at == inf else left_at
        first_byte_at = first.first_byte_at or ended_at
        row = (
            number, intended_at, first.started_at, first_byte_at, ended_at, sent, received,
            last.request_id,
        )  # fmt: skip
    recorder.steps.append(row)
    return row
