"""What journeys are written with beside steps and thinking: orders, bells, crossing to another channel.

Steps themselves are in `steps`, the visit around them in `visitor`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from time import perf_counter
from typing import Any

from doorbuster.load.customers.model import VisitEnded
from doorbuster.load.customers.visitor import CustomerUser
from doorbuster.records.batch import OrderAttempt
from doorbuster.scenario import Offline
from doorbuster.storefronts import BasketLine, Order, Rejected

NETWORK_BACK_S = 1.0  # within which all tills notice that the network is back


class Customer(CustomerUser):
    """Base class of the customers of one channel; journeys are methods named as in the scenario.

    In a journey use `self.step(self.shop.<step>, ...)` for each step, `self.think()` between steps, and
    `self.order(...)` where money changes hands; `self.try_step(...)` for a part that may fail,
    `self.pages()` for how many products to look at, `self.cross_to(channel)` to go on elsewhere,
    `self.wait_until(at_s)` to wait for the bell. `self.visit` says who this is and on what device.
    """

    abstract = True

    # ---- what journeys use

    def pages(self) -> int:
        """How many product pages this visit looks at; a new draw with each call."""
        return self.errand.pages(self.rng)

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

    def order(self, action: Callable[..., Order], lines: tuple[BasketLine, ...]) -> Order:
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
        except VisitEnded as leave:
            answer, cause = ("unknown" if self._in_doubt else "refused"), leave.cause
            raise
        finally:
            self._note_order(key, intended_at, answer, cause, placed, lines)
        self._order = 1
        self.generator.order_refs(self.arrival.channel).append(placed.ref)
        return placed

    def wants_order(self) -> None:
        """Decide to buy, in a journey that need not end in an order: from here on not getting it counts."""
        self._order = self._order or 0

    def take_order_ref(self) -> str | None:
        """The oldest remembered order of this worker's customers, given out once; None if there is none."""
        refs = self.generator.order_refs(self.arrival.channel)
        return refs.popleft() if refs else None

    def any_order_ref(self) -> str | None:
        """The reference of an order this worker's customers placed lately; None before the first."""
        refs = self.generator.order_refs(self.arrival.channel)
        return self.rng.choice(refs) if refs else None

    # ---- inside

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
        wanted: tuple[BasketLine, ...],
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
