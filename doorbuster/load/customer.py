"""A customer: arrives once, does one journey, and leaves with exactly one outcome.

Rules:
- `arrive` is called before `start`; the journey is the method named by the arrival.
- A step's clock starts at its *intended* start: the arrival, or the end of the think time.
- What a step costs us is the shop's to lose: no object is made for a step but the row that is recorded.
- Leaving is an exception (`Leave`), so a journey reads as the story of a customer who gets through.
- Whatever happens, `_leave` runs once: outcomes always balance with arrivals.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import gevent
from locust import User

from doorbuster.load.behaviour import Law
from doorbuster.load.nap import nap_until
from doorbuster.load.recorder import StepRow
from doorbuster.load.session import StepSession
from doorbuster.records.batch import OrderAttempt, SeriesKey
from doorbuster.storefronts import Client, Line, Order, Rejected, Storefront

if TYPE_CHECKING:
    from doorbuster.load.generator import Generator

T = TypeVar("T")

BROWSE_STEPS = frozenset({"home", "category", "search", "product", "landing"})
STEP_LIMIT_S = 60.0  # what a till, an agent or a patient customer waits at most for one step
# Answers after which the shop has certainly not booked the order; anything else leaves it unknown.
REFUSALS = frozenset({"sold_out", "busy_page", "status_4xx", "connect_refused", "dns", "connect_timeout"})
_TIMEOUTS = frozenset({"first_byte_timeout", "total_timeout", "connect_timeout"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One intended visit; `intended_at` is a reading of `time.perf_counter`.

    `name` is unique within the run and the same in every run with this seed: "17" for the schedule's
    arrival 17, "phone-3-12" for the twelfth caller of seat 3.
    """

    name: str
    channel: str
    journey: str
    intended_at: float


@dataclass(frozen=True, slots=True)
class Errand:
    """What all customers of one channel and journey have in common; made once per run.

    `answered`: step name -> number of the series under which the recorder knows its successes.
    """

    channel: str
    journey: str
    wants_order: bool
    seated: bool
    patience: Law
    think: Law
    answered: dict[str, int] = field(default_factory=dict)


class Leave(Exception):  # noqa: N818  a customer leaves; that is no error of ours
    """Ends a journey early; `outcome` and `cause` are the vocabulary of the run file."""

    def __init__(self, outcome: str, step: str, cause: str) -> None:
        super().__init__(f"{outcome} at {step}: {cause}")
        self.outcome = outcome
        self.step = step
        self.cause = cause


class Customer(User):
    """Base class of the customers of one channel; journeys are methods named as in the scenario.

    In a journey use `self.step(self.shop.<step>, ...)` for each step, `self.think()` between steps, and
    `self.order(...)` where money changes hands.
    """

    abstract = True
    channel: ClassVar[str] = "web"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._left = False
        self._browse: int | None = None
        self._order: int | None = None
        self._orders = 0
        self._step = ""

    def arrive(self, arrival: Arrival, errand: Errand, generator: Generator) -> None:
        """Tell the customer who they are; nothing is sent before the greenlet runs."""
        self.arrival = arrival
        self.generator = generator
        self.rng = Random(f"{generator.scenario.seed}/{arrival.name}")
        self.session = StepSession(generator.url, generator.http_settings)
        self.shop: Storefront = generator.driver(
            cast(Client, self.session), channel=arrival.channel, assortment=generator.assortment, rng=self.rng
        )
        self._errand = errand
        self._next_at = arrival.intended_at
        self._order = 0 if errand.wants_order else None

    # ---- what journeys use

    def step(self, action: Callable[..., T], *args: Any) -> T:
        """Do one step and return what the shop gave; leave if it fails or takes too long.

        Raises:
            Rejected: the shop said no and was right to (sold out); a journey may choose something else.
            Leave: anything else that ends the visit; journeys let it pass.
        """
        name = self._step = action.__name__
        patience_s = self._errand.patience(self.rng)
        limit_s = patience_s if patience_s < STEP_LIMIT_S else STEP_LIMIT_S
        self.session.open(name, intended_at=self._next_at, deadline_at=self._next_at + limit_s)
        try:
            result = action(*args)
        except Rejected as refusal:
            if refusal.by_rule:
                self._answered(name)
                raise
            gave_up = refusal.cause in _TIMEOUTS and limit_s == patience_s
            raise self._turned_off(name, refusal, gave_up=gave_up) from refusal
        except gevent.GreenletExit:
            self._fell_short(name, "abandoned", "interrupted", "")
            raise
        self._answered(name)
        return result

    def think(self) -> None:
        """Read, decide, look for the purse: a draw from the channel's think time.

        In a closed channel nobody thinks past the end of the run: the last call is brought to its end.
        """
        think_s = self._errand.think(self.rng)
        self.generator.recorder.thought(self._errand.channel, round(think_s * 1e6))
        until = self._next_at + think_s
        if self._errand.seated:
            until = min(until, max(self._next_at, self.generator.closes_at))
        self._next_at = until
        nap_until(until)

    def order(self, action: Callable[..., Order], lines: tuple[Line, ...]) -> Order:
        """Place an order for `lines`; note what was attempted and what the shop answered."""
        self._orders += 1
        key = f"{self.generator.run_id}:{self.arrival.name}:{self._orders}"
        intended_at = self._next_at
        answer, cause, placed = "unknown", "interrupted", None
        try:
            placed = self.step(action, key, lines)
            answer, cause = "acknowledged", ""
        except Rejected as refusal:
            answer, cause = "refused", refusal.cause
            raise
        except Leave as leave:
            answer, cause = ("refused" if leave.cause in REFUSALS else "unknown"), leave.cause
            raise
        finally:
            self._note_order(key, intended_at, answer, cause, placed, lines)
        self._order = 1
        self.generator.order_refs.append(placed.ref)
        return placed

    def any_order_ref(self) -> str | None:
        """The reference of an order this worker's customers placed lately; None before the first."""
        refs = self.generator.order_refs
        return self.rng.choice(refs) if refs else None

    # ---- one visit, as Locust runs it

    def start(self, group: Any) -> Any:
        """Start the visit in Locust's group of users: what `User.start` does, without a task set around it.

        A customer killed before the first step is counted too.
        """
        self._group = group
        greenlet = self._greenlet = group.spawn(Customer._visit, self)
        greenlet.rawlink(self._gone)
        return greenlet

    def _visit(self) -> None:
        outcome, step, cause = "served", "", ""
        try:
            getattr(self, self.arrival.journey)()
        except Leave as leave:
            outcome, step, cause = leave.outcome, leave.step, leave.cause
        except Rejected as refusal:
            outcome, step, cause = "turned_away", self._step, refusal.cause
            self._order = None  # the shop worked; there was nothing left to sell
        except gevent.GreenletExit:
            outcome, step, cause = "dropped", self._step, self.generator.stop_cause
            raise
        except Exception:  # noqa: BLE001  a bug in a journey must not lose the customer from the count
            outcome, step, cause = "dropped", self._step, "script_exception"
            self.generator.script_failed(traceback.format_exc())
        finally:
            self._leave(outcome, step, cause)

    tasks = [_visit]  # noqa: RUF012  `start` needs none, but Locust warns about users without tasks

    def _gone(self, _: Any) -> None:
        self._leave("dropped", self._step, self.generator.stop_cause)

    # ---- book-keeping

    def _answered(self, name: str) -> None:
        errand = self._errand
        number = errand.answered.get(name)
        if number is None:
            key = SeriesKey(errand.channel, errand.journey, name, "ok", "")
            number = errand.answered[name] = self.generator.recorder.number_of(key)
        self._record(number, inf)
        if self._browse is None and name in BROWSE_STEPS:
            self._browse = 1
        self._next_at = perf_counter()

    def _turned_off(self, name: str, refusal: Rejected, *, gave_up: bool) -> Leave:
        cause = "patience" if gave_up else refusal.cause
        self._fell_short(name, "abandoned" if gave_up else "failed", cause, refusal.detail)
        if name in BROWSE_STEPS:
            self._browse = 0  # whoever is stopped while looking around could not browse, whatever came before
        return Leave("abandoned" if gave_up else "turned_away", name, cause)

    def _fell_short(self, name: str, outcome: str, cause: str, detail: str) -> None:
        """Record a step without an answer that helps; one that was abandoned ends when the customer left."""
        recorder = self.generator.recorder
        number = recorder.number_of(
            SeriesKey(self.arrival.channel, self.arrival.journey, name, outcome, cause)
        )
        row = self._record(number, perf_counter() if outcome == "abandoned" else inf)
        if outcome == "failed":
            recorder.failure(row, detail)

    def _record(self, number: int, left_at: float) -> StepRow:
        """Note the step as it was, over all its requests; `left_at` is infinite unless the customer left."""
        generator, exchanges, intended_at = self.generator, self.session.exchanges, self._next_at
        row: StepRow
        if not exchanges:  # no request was made, or it was broken off
            ended_at = left_at if left_at < inf else perf_counter()
            row = (number, intended_at, intended_at, ended_at, ended_at, 0, 0, "")
        else:
            first = last = exchanges[0]
            sent, received = first.bytes_sent, first.bytes_received
            if len(exchanges) > 1:
                last = exchanges[-1]
                sent = sum(exchange.bytes_sent for exchange in exchanges)
                received = sum(exchange.bytes_received for exchange in exchanges)
            if not first.reused or last is not first:
                generator.count_connections(exchanges)
                if first.connect_s:
                    generator.recorder.connects.append((number, intended_at, first.connect_s))
            recorder = generator.recorder
            if first.server_timing and not len(recorder.steps) % recorder.stride:
                said = first.server_timing
                if last is not first:
                    said = ", ".join([one.server_timing for one in exchanges if one.server_timing])
                recorder.told.append((number, intended_at, said))
            ended_at = last.ended_at if left_at == inf else left_at
            first_byte_at = first.first_byte_at or ended_at
            stamps = (intended_at, first.started_at, first_byte_at, ended_at)
            row = (number, *stamps, sent, received, last.request_id)
        generator.recorder.steps.append(row)
        return row

    def _note_order(
        self,
        key: str,
        intended_at: float,
        answer: str,
        cause: str,
        placed: Order | None,
        wanted: tuple[Line, ...],
    ) -> None:
        started_at = self.generator.started_at
        lines = placed.lines if placed else wanted
        self.generator.recorder.order(
            OrderAttempt(
                idempotency_key=key,
                channel=self.arrival.channel,
                journey=self.arrival.journey,
                intended_s=intended_at - started_at,
                answered_s=perf_counter() - started_at,
                answer=answer,
                cause=cause,
                order_ref=placed.ref if placed else "",
                total_pence=placed.total_pence
                if placed
                else sum(line.quantity * line.unit_pence for line in wanted),
                lines=tuple((line.sku, line.quantity, line.unit_pence) for line in lines),
            )
        )

    def _leave(self, outcome: str, step: str, cause: str) -> None:
        if self._left:
            return
        self._left = True
        self.session.close()
        if outcome == "dropped":
            self._browse = self._order = None
        self.generator.customer_left(self.arrival, (outcome, step, cause, self._browse, self._order))
