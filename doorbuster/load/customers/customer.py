"""The customer: the base class of a locustfile's users, one visit each.

Rules:
- `arrive` is called before `run_journey`; the journey is the method named by the arrival.
- `_leave` takes effect once, whatever happens, so that outcomes always balance with arrivals.
- A visit is served only if its journey returns. Whatever a journey or a driver raises otherwise, also what is
  no `Exception` (`gevent.Timeout`, `SystemExit`, `CancelledError`), has an outcome with a cause.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from inspect import signature
from time import perf_counter
from typing import Any, ClassVar

import gevent
from gevent.event import Event as Flag
from locust import User

from doorbuster.load.customers.model import CustomerProfile, VisitEnded
from doorbuster.load.customers.step_runner import StepRunner, StorefrontSession, count_visit
from doorbuster.records.batch import OrderAttempt
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.records.storable import UnstorableError, amount, reference
from doorbuster.scenario import Offline, VisitChain
from doorbuster.storefronts import BasketLine, Order, Rejected

NETWORK_BACK_S = 1.0  # within which all tills notice that the network is back


class Customer(StepRunner, User):
    """Base class of the customers of one channel; journeys are methods named as in the scenario.

    In a journey use `self.step(self.shop.<step>, ...)` for each step, `self.think()` between steps and
    `self.order(...)` to place an order; `self.try_step(...)` for a part that may fail, `self.pages()` for the
    number of products to look at, `self.cross_to(channel)` to continue in another channel,
    `self.wait_until(at_s)` to wait for the start of a sale. `self.visit` has the customer's name and device.

    The order of the bases matters: an object gets the memory layout of the first.
    """

    abstract = True
    channel: ClassVar[str] = "web"
    _left = False
    _by_channel: dict[str, tuple[CustomerProfile, StorefrontSession]] | None = None
    _ended: Flag | None = None
    follow_chain: Callable[[VisitChain], None]  # in classes whose journeys may be chains of pages

    def __init__(self, environment: Any) -> None:
        User.__init__(self, environment)

    # ---- what journeys use

    def pages(self) -> int:
        """Number of product pages to look at; drawn anew with each call."""
        return self.profile.pages(self.rng)

    def wait_until(self, at_s: float) -> None:
        """Wait for a time of the run, such as the start of a sale, in seconds since its start."""
        self.rest_until(max(self._next_at, self.shared.started_at + at_s))

    def cross_to(self, channel: str) -> None:
        """Continue as the same customer in another channel.

        Steps, patience and think time are those of that channel; the outcome of the visit counts in the
        channel of the arrival. Crossing back restores the earlier session.
        """
        sessions = self._by_channel = self._by_channel or {}
        sessions[self.profile.channel] = (self.profile, (self.session, self.shop))
        if channel not in sessions:
            profile = self.shared.profiles.for_channel(channel, self.profile)
            sessions[channel] = (profile, self._open_session(profile))
        self.profile, (self.session, self.shop) = sessions[channel]
        by_device = self.profile.patience_by_device
        self._patience = (by_device or {}).get(self.visit.device, self.profile.patience)

    def order(self, action: Callable[..., Order], lines: tuple[BasketLine, ...]) -> Order:
        """Place an order for `lines`; records the attempt and the shop's answer.

        Every attempt has the same idempotency key. A till without network makes the sale and sends it when
        the network is back.
        """
        self._orders += 1
        self.wants_order()
        key = f"{self.shared.run_id}:{self.arrival.name}:{self._orders}"
        details: list[Any] = [key, lines]
        if self.profile.offline is not None:
            details += self._sell_offline(self.profile.offline, action)
        intended_at = self._next_at
        self._in_doubt = False
        answer, cause, placed = "unknown", "interrupted", None
        try:
            placed = self.step(_usable(action), *details)
            answer, cause = "acknowledged", ""
        except (Rejected, VisitEnded) as refusal:
            not_sent = isinstance(refusal, VisitEnded) and refusal.outcome == Outcome.DROPPED
            answer, cause = ("unknown" if self._in_doubt or not_sent else "refused"), refusal.cause
            raise
        finally:
            self._record_order(key, intended_at, answer, cause, placed, lines)
        self._order = 1
        self.shared.order_refs(self.arrival.channel).append(placed.ref)
        return placed

    def wants_order(self) -> None:
        """Decide to buy, in a journey that need not end in an order: without an order, `can_order` fails."""
        self._order = self._order or 0

    def take_order_ref(self) -> str | None:
        """The oldest remembered order of this worker's customers, given out once; None if there is none."""
        refs = self.shared.order_refs(self.arrival.channel)
        return refs.popleft() if refs else None

    def any_order_ref(self) -> str | None:
        """A recent order of this worker's customers; None if there is none."""
        refs = self.shared.order_refs(self.arrival.channel)
        return self.rng.choice(refs) if refs else None

    # ---- the visit

    def runs_in(self, greenlet: Any, group: Any) -> None:
        """Set the greenlet of the visit and Locust's group, as `User.start` does."""
        self._greenlet = greenlet
        self._group = group

    def join(self) -> None:
        """Wait until the visit has ended."""
        if not self._left:
            self._ended = self._ended or Flag()
            self._ended.wait()

    def run_journey(self) -> None:
        """Run the journey and record its outcome."""
        outcome: str = Outcome.SERVED
        step = cause = ""
        try:
            self._follow_journey()
        except VisitEnded as ended:
            outcome, step, cause = ended.outcome, ended.step, ended.cause
        except Rejected as refusal:
            outcome, step, cause = Outcome.TURNED_AWAY, self.at_step, refusal.cause
            self._order = None  # the shop worked; it had nothing left to sell
        except BaseException as error:
            if self.is_stopped and isinstance(error, gevent.GreenletExit):
                outcome, step, cause = Outcome.DROPPED, self.at_step, self.shared.stop_cause
                raise
            outcome, step, cause = Outcome.DROPPED, self.at_step, self.shared.failed(error)
        else:
            if self._ended_by is not None:  # the journey caught the end of its visit
                end = self._ended_by
                outcome, step, cause = end.outcome, end.step, end.cause
            elif self.is_stopped:
                outcome, step, cause = Outcome.DROPPED, self.at_step, self.shared.stop_cause
            elif not self.at_step:
                self.shared.script_failed(f"journey {self.arrival.journey} ended without a step")
                outcome, cause = Outcome.DROPPED, Cause.SCRIPT_EXCEPTION
        finally:
            self._leave(outcome, step, cause)

    tasks = [run_journey]  # noqa: RUF012  never run as a task; Locust warns about users without tasks

    def drop(self) -> None:
        """End the visit as dropped, even if it never began; does nothing if it has ended."""
        self.is_stopped = True
        self._leave(Outcome.DROPPED, self.at_step, self.shared.stop_cause)

    # ---- inside

    def _follow_journey(self) -> None:
        """Run the method of the journey, or let the locustfile follow the scenario's chain of pages."""
        if self.profile.chain is None:
            getattr(self, self.arrival.journey)()
        else:
            self.follow_chain(self.profile.chain)

    def _leave(self, outcome: str, step: str, cause: str) -> None:
        if self._left:
            return
        self._left = True
        try:
            self.session.close()
            for _, (session, _) in (self._by_channel or {}).values():
                session.close()
        except BaseException:  # noqa: BLE001  a session of the driver's own; the customer leaves all the same
            self.shared.script_failed(traceback.format_exc())
            if outcome == Outcome.SERVED:
                outcome, step, cause = Outcome.DROPPED, self.at_step, Cause.SCRIPT_EXCEPTION
        if outcome == Outcome.DROPPED:
            self._browse = self._order = None
        count_visit(self)
        self.shared.customer_left(self.arrival, (outcome, step, cause, self._browse, self._order))
        self._greenlet = None  # the pool reuses it for another customer
        if self._ended is not None:
            self._ended.set()

    def _sell_offline(self, offline: Offline, action: Callable[..., Order]) -> list[float]:
        """Delay a sale that is made without network until the network is back.

        Returns: the time of the sale in Unix seconds, if the driver's step takes `sold_at_unix_s`.
        """
        made_at = self._next_at
        if not offline.from_s <= made_at - self.shared.started_at < offline.until_s:
            return []
        sold_at_unix_s = self.shared.unix_s(made_at)
        self.wait_until(offline.until_s + self.rng.random() * NETWORK_BACK_S)
        self.count("offline_sales", self._next_at)
        return [sold_at_unix_s] if "sold_at_unix_s" in signature(action).parameters else []

    def _record_order(
        self,
        key: str,
        intended_at: float,
        answer: str,
        cause: str,
        placed: Order | None,
        wanted: tuple[BasketLine, ...],
    ) -> None:
        started_at = self.shared.started_at
        lines = placed.lines if placed else wanted
        total_pence = placed.total_pence if placed else sum(row.quantity * row.unit_pence for row in wanted)
        self.shared.recorder.order(
            OrderAttempt(
                idempotency_key=key,
                channel=self.profile.channel,
                journey=self.arrival.journey,
                intended_s=intended_at - started_at,
                answered_s=perf_counter() - started_at,
                answer=answer,
                cause=cause,
                order_ref=placed.ref if placed else "",
                total_pence=total_pence,
                lines=tuple((line.sku, line.quantity, line.unit_pence) for line in lines),
            )
        )


def _usable(action: Callable[..., Order]) -> Callable[..., Order]:
    """The step, with an order whose values can be recorded; the shop is to blame for any other one."""

    @wraps(action)
    def place(*args: Any) -> Order:
        order = action(*args)
        try:
            return Order(
                reference(order.ref, "the order's reference"),
                amount(order.total_pence, "the order's total"),
                tuple(
                    BasketLine(
                        reference(line.sku, "the SKU of an order line"),
                        amount(line.quantity, "the quantity of an order line"),
                        amount(line.unit_pence, "the price of an order line"),
                    )
                    for line in order.lines
                ),
            )
        except UnstorableError as error:
            raise Rejected("bad_response", str(error)) from error

    return place
