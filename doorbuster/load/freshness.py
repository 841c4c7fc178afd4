"""How long until a change is seen: staff change a price, and every channel is asked until it shows it.

Rules of this module:
- One worker does this, beside the customers, with clients of its own: what it sends is load on the shop, but
  is counted nowhere as a customer's.
- Prices of the least popular products, by a few pence. Each price is put back as soon as the channels were
  looked at, at the end of the run at the latest; the run file's events name products and prices.
- A time runs from the shop's word that the price is changed to the end of the first answer that shows it.
  Between two looks lies a tenth of the time since the change, and never less than 50 ms: so exact is a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

import gevent
from gevent.pool import Group

from doorbuster.load.http.exchange import RequestFailed
from doorbuster.load.nap import nap_until
from doorbuster.load.target import PlainClient
from doorbuster.records.batch import Event, FreshnessReading
from doorbuster.storefronts import Assortment, Queued, Rejected, Storefront, Visit

if TYPE_CHECKING:
    from doorbuster.load.generator import Assignment
    from doorbuster.load.recorder import Recorder

PRODUCTS = 3
SHORTEST_WAIT_S = 0.05
WAIT_RATIO = 0.1
STAFF_LIMIT_S = 10.0
RESTORE_TRIES = 3
STOP_LIMIT_S = 8.0  # the worker's last report must still come in time
HIGHEST_CHANGE_PENCE = 97
_DAMAGED = (RequestFailed, ValueError, KeyError, TypeError)  # a page that is not what the driver expects


class FreshnessWatch:
    """Looks again and again until it is stopped; what it saw goes to the recorder."""

    def __init__(
        self,
        assignment: Assignment,
        driver: type[Storefront],
        recorder: Recorder,
        *,
        tag: Mapping[str, str],
    ) -> None:
        freshness = assignment.scenario.freshness
        assert freshness is not None, "who starts this has looked"
        self._every_s, self._timeout_s = freshness.every_s, freshness.timeout_s
        self._started_at = assignment.started_at
        self._closes_at = assignment.started_at + assignment.schedule.duration_s
        self._driver = driver
        self._recorder = recorder
        self._skus = unpopular(assignment.assortment, PRODUCTS)
        self._prices: dict[str, int] = {}
        self._changed: set[str] = set()  # products whose price may not be what it was

        def client(limit_s: float) -> PlainClient:
            allow = assignment.scenario.safety.allow
            return PlainClient(assignment.url, dict(tag), limit_s=limit_s, allow=allow)

        self._staff = client(STAFF_LIMIT_S)
        self._clients = {name: client(self._timeout_s) for name in readers(assignment, driver)}
        self._faces = {
            name: driver.for_channel(name)(
                mine, channel=name, assortment=assignment.assortment,
                rng=Random(f"{assignment.scenario.seed}/freshness/{name}"),
                visit=Visit(customer=f"{assignment.run_id}-freshness-{name}"),
            )
            for name, mine in self._clients.items()
        }  # fmt: skip
        self._looks = Group()
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End, with every price as it was; returns within STOP_LIMIT_S even if the shop hangs."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._looks.kill()
        with gevent.Timeout(STOP_LIMIT_S, False):
            for sku in tuple(self._changed):
                self._put_back(sku)
        for sku in self._changed:
            self._tell(f"the price of {sku} could not be put back to {self._prices[sku]} pence")
        for client in (self._staff, *self._clients.values()):
            client.close()

    # ---- inside

    def _run(self) -> None:
        number, due_at = 0, self._started_at + self._every_s / 2
        while due_at < self._closes_at and self._faces:
            nap_until(due_at)
            if self._prices or self._learn():
                sku = self._skus[number % len(self._skus)]
                self._look_for(sku, self._prices[sku] + 1 + number % HIGHEST_CHANGE_PENCE)
                number += 1
            behind = max(perf_counter() - due_at, 0.0)
            due_at += self._every_s * (int(behind / self._every_s) + 1)

    def _learn(self) -> bool:
        """Read the prices that will be put back; from the channel that answers first."""
        for face in self._faces.values():
            try:
                self._prices = {sku: face.product(sku).price_pence for sku in self._skus}  # type: ignore[attr-defined]
            except (Rejected, Queued, *_DAMAGED):
                continue
            told = ", ".join(f"{sku} ({pence} pence)" for sku, pence in self._prices.items())
            self._tell(f"the prices of these products are changed for moments and put back: {told}")
            return True
        return False

    def _look_for(self, sku: str, pence: int) -> None:
        """Change one price, look at all channels side by side, put it back; if we cannot, `stop` does."""
        asked_at = perf_counter()
        self._changed.add(sku)
        try:
            self._driver.change_price(self._staff, sku, pence)
            changed_at = perf_counter()
            for channel, face in self._faces.items():
                self._looks.spawn(self._watch, channel, face, sku, pence, changed_at)
            self._looks.join()
        except (Rejected, Queued, *_DAMAGED):
            at_s = asked_at - self._started_at
            self._recorder.readings.append(FreshnessReading(at_s, sku, "", "refused", None, None, 0, 0))
        self._put_back(sku)

    def _watch(self, channel: str, face: Storefront, sku: str, pence: int, changed_at: float) -> None:
        """Ask one channel until it shows the price; what came of it is one reading, however this ends."""
        outcome, took_s, old_s, looks, unread = "cut_short", None, None, 0, 0
        try:
            while outcome == "cut_short":
                asked_s = perf_counter() - changed_at
                shown = shown_price(face, sku)
                answered_s = perf_counter() - changed_at
                looks += 1
                if shown == pence:
                    outcome, took_s = "seen", answered_s
                    break
                if shown is None:
                    unread += 1
                else:
                    old_s = asked_s
                if answered_s >= self._timeout_s:
                    outcome = "unread" if old_s is None else "stale"
                    break
                wait_s = max(SHORTEST_WAIT_S, WAIT_RATIO * answered_s)
                gevent.sleep(min(wait_s, self._timeout_s - answered_s))
        finally:
            at_s = changed_at - self._started_at
            self._recorder.readings.append(
                FreshnessReading(at_s, sku, channel, outcome, took_s, old_s, looks, unread)
            )

    def _put_back(self, sku: str) -> None:
        for _ in range(RESTORE_TRIES):
            try:
                self._driver.change_price(self._staff, sku, self._prices[sku])
            except (Rejected, Queued, *_DAMAGED):
                continue
            self._changed.discard(sku)
            return

    def _tell(self, text: str) -> None:
        self._recorder.event(Event(perf_counter() - self._started_at, "freshness", text))


def shown_price(face: Storefront, sku: str) -> int | None:
    """What a product costs in one channel, in pence; None when the channel does not say."""
    product: Callable[[str], object] = face.product  # type: ignore[attr-defined]
    try:
        pence = getattr(product(sku), "price_pence", None)
    except (Rejected, Queued, *_DAMAGED):
        return None
    return pence if isinstance(pence, int) else None


def readers(assignment: Assignment, driver: type[Storefront]) -> tuple[str, ...]:
    """The scenario's channels in which a product can be looked at."""
    return tuple(
        name for name in assignment.scenario.channels if not driver.for_channel(name).supports(("product",))
    )


def unpopular(assortment: Assortment, count: int) -> tuple[str, ...]:
    """The SKUs that are bought least; of equals the last."""
    ends = assortment.cumulative_weights
    weights = [end - start for start, end in zip((0.0, *ends), ends, strict=False)]
    order = sorted(range(len(weights)), key=lambda at: (weights[at], -at))
    return tuple(assortment.skus[at] for at in order[:count])


def changes_prices(driver: type[Storefront]) -> bool:
    """Whether the driver has its own `change_price`."""
    return driver.change_price.__func__ is not Storefront.change_price.__func__  # type: ignore[attr-defined]
