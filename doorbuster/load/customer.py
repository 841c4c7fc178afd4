"""What the journeys of a customer are written with: steps, thinking, orders, crossing to another channel.

Rules:
- A step's clock starts at its *intended* start: the arrival, or the end of the think time. A step that is
  tried again is a request of its own each time, due at the end of the wait before it (see insistence).
- Leaving is an exception (`Leave`), so a journey reads as the story of a customer who gets through.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from time import perf_counter
from typing import Any, TypeVar

from doorbuster.load.errand import Leave
from doorbuster.load.insistence import Insistence
from doorbuster.load.nap import nap_until
from doorbuster.load.visitor import BROWSE_STEPS, Visitor
from doorbuster.records.batch import OrderAttempt
from doorbuster.scenario import Offline
from doorbuster.storefronts import Line, Order, Queued, Rejected

T = TypeVar("T")

NETWORK_BACK_S = 1.0  # within which all tills notice that the network is back


class Customer(Visitor):
    """Base class of the customers of one channel; journeys are methods named as in the scenario.

    In a journey use `self.step(self.shop.<step>, ...)` for each step, `self.think()` between steps, and
    `self.order(...)` where money changes hands; `self.try_step(...)` for a part that may fail,
    `self.pages()` for how many products to look at, `self.cross_to(channel)` to go on elsewhere,
    `self.wait_until(at_s)` to wait for the bell. `self.visit` says who this is and on what device.
    """

    abstract = True

    # ---- what journeys use

    def step(self, action: Callable[..., T], *args: Any) -> T:
        """Do one step and return what the shop gave; leave if it fails or takes too long.

        What "fails" means to these people and machines is the channel's: see insistence.

        Raises:
            Rejected: the shop said no and was right to (sold out); a journey may choose something else.
            Leave: anything else that ends the visit; journeys let it pass.
        """
        until = self._next_at + self._patience(self.rng)
        budget = self.errand.budget
        if budget is not None:
            budget.earn()
        try:
            return self._attempt(action, args, until)
        except (Leave, Queued) as setback:
            first = setback
        try:
            return self._insist(action, args, first, Insistence(self, until, reload=True))
        except Leave as leave:
            if leave.step in BROWSE_STEPS:
                self._browse = 0  # whoever is stopped while looking around could not browse
            raise

    def try_step(self, action: Callable[..., T], *args: Any) -> T | None:
        """Do a step that may fail, such as recommendations; returns None then, and the visit goes on.

        The failure is recorded like any other. Nobody reloads a page for the sake of such a part.
        """
        until = self._next_at + self._patience(self.rng)
        budget = self.errand.budget
        if budget is not None:
            budget.earn()
        try:
            return self._attempt(action, args, until)
        except (Leave, Queued) as setback:
            first = setback
        except Rejected:
            return None
        try:
            return self._insist(action, args, first, Insistence(self, until, reload=False))
        except (Leave, Rejected):
            now = self._next_at = perf_counter()
            self.count(f"degraded:{action.__name__}", now)
            return None

    def pages(self) -> int:
        """How many product pages this visit looks at; a new draw with each call."""
        return self.errand.pages(self.rng)

    def think(self) -> None:
        """Read, decide, look for the purse: a draw from the channel's think time.

        In a closed channel nobody thinks past the end of the run: the last call is brought to its end.
        """
        think_s = self.errand.think(self.rng)
        self.generator.recorder.thought(self.errand.channel, round(think_s * 1e6))
        until = self._next_at + think_s
        if self.errand.seated:
            until = min(until, max(self._next_at, self.generator.closes_at))
        self._next_at = until
        nap_until(until)

    def wait_until(self, at_s: float) -> None:
        """Wait for a moment of the run, such as the bell of a drop, in seconds since its start."""
        self.rest_until(max(self._next_at, self.generator.started_at + at_s))

    def cross_to(self, channel: str) -> None:
        """Go on as the same customer in another channel: what is done there counts there, from patience to
        series; the outcome of the visit counts where the customer arrived. Crossing back finds the old
        session again.
        """
        faces = self._faces = self._faces or {}
        faces[self.errand.channel] = (self.errand, (self.session, self.shop))
        if channel not in faces:
            errand = self.generator.errand(channel, self.arrival.journey, seated=self.errand.seated)
            faces[channel] = (errand, self._face_of(errand))
        self.errand, (self.session, self.shop) = faces[channel]
        by_device = self.errand.patience_with
        self._patience = (by_device or {}).get(self.visit.device, self.errand.patience)

    def order(self, action: Callable[..., Order], lines: tuple[Line, ...]) -> Order:
        """Place an order for `lines`; note what was attempted and what the shop answered.

        Every attempt carries the same idempotency key. A till without network makes the sale all the same
        and sends it when the network is back.
        """
        self._orders += 1
        self.wants_order()
        key = f"{self.generator.run_id}:{self.arrival.name}:{self._orders}"
        details: list[Any] = [key, lines]
        if self.errand.offline is not None:
            details += self._sell_offline(self.errand.offline, action)
        intended_at = self._next_at
        self._in_doubt = False
        answer, cause, placed = "unknown", "interrupted", None
        try:
            placed = self.step(action, *details)
            answer, cause = "acknowledged", ""
        except Rejected as refusal:
            answer, cause = ("unknown" if self._in_doubt else "refused"), refusal.cause
            raise
        except Leave as leave:
            answer, cause = ("unknown" if self._in_doubt else "refused"), leave.cause
            raise
        finally:
            self._note_order(key, intended_at, answer, cause, placed, lines)
        self._order = 1
        self.generator.order_refs.append(placed.ref)
        return placed

    def wants_order(self) -> None:
        """Decide to buy, in a journey that need not end in an order: from here on not getting it counts."""
        self._order = self._order or 0

    def take_order_ref(self) -> str | None:
        """The oldest remembered order of this worker's customers, given out once; None if there is none."""
        refs = self.generator.order_refs
        return refs.popleft() if refs else None

    def any_order_ref(self) -> str | None:
        """The reference of an order this worker's customers placed lately; None before the first."""
        refs = self.generator.order_refs
        return self.rng.choice(refs) if refs else None

    # ---- inside

    def _insist(
        self, action: Callable[..., T], args: tuple[Any, ...], setback: Leave | Queued, how: Insistence
    ) -> T:
        """Attempt it again for as long as the customer does; raises Leave when they do not."""
        while True:
            how.wait(setback)
            try:
                return self._attempt(action, args, how.until)
            except (Leave, Queued) as another:
                setback = another

    def _sell_offline(self, offline: Offline, action: Callable[..., Order]) -> list[float]:
        """Let a sale that is made without network wait for it.

        Returns: when it was made, in Unix seconds, if the driver's step takes `sold_at_unix_s`.
        """
        made_at = self._next_at
        if not offline.from_s <= made_at - self.generator.started_at < offline.until_s:
            return []
        sold_at_unix_s = self.generator.unix_s(made_at)
        self.wait_until(offline.until_s + self.rng.random() * NETWORK_BACK_S)
        self.count("offline_sales", self._next_at)
        return [sold_at_unix_s] if "sold_at_unix_s" in signature(action).parameters else []

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
                channel=self.errand.channel,
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
