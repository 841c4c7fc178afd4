"""Edits that the freshness probe makes during a run: a price, a stock level or a customer's basket.

Rules of this module:
- A change is made in one place (by staff, or in one channel) and looked for in all others. `apply` returns
  as soon as the place says that it is done; whatever has to be asked before is asked before.
- Products are those that are bought least. What was changed is put back by `revert`, as often as it takes.
  Baskets are those of accounts of the run, one for each change: there is nothing to put back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from doorbuster.load.http.exchange import RequestFailed
from doorbuster.load.target.endpoint import UnmeasuredClient
from doorbuster.scenario import FRESHNESS_KINDS, Scenario
from doorbuster.storefronts import Catalogue, Rejected, Storefront, Visit, WaitingRoomError

if TYPE_CHECKING:
    from doorbuster.load.engine.generator import WorkerAssignment

PRODUCTS = 3  # for each kind of change
STAFF_STEPS = {"price": ("change_price",), "stock": ("change_stock", "stock_on_hand")}
STAFF_LIMIT_S = 10.0
MAX_CHANGE_PENCE = 97
_NOT_AS_EXPECTED = (ValueError, KeyError, TypeError)  # a page that says something else
REFUSALS = (Rejected, WaitingRoomError, RequestFailed, *_NOT_AS_EXPECTED)

Observation = Callable[[], bool | None]
"""Whether a channel shows the change: yes, no (what was before), or it does not say (None)."""


@dataclass(frozen=True, slots=True)
class EditTarget:
    """The shop, with clients that are separate from the customers' clients."""

    assignment: WorkerAssignment
    driver: type[Storefront]
    tag: Mapping[str, str]

    def client(self, limit_s: float) -> UnmeasuredClient:
        allow = self.assignment.scenario.safety.allow
        return UnmeasuredClient(self.assignment.url, dict(self.tag), limit_s=limit_s, allow=allow)

    def face(self, channel: str, client: UnmeasuredClient, who: str) -> Any:
        """The shop as a customer of this channel sees it: with all the steps of its driver."""
        return self.driver.for_channel(channel)(
            client, channel=channel, catalogue=self.assignment.catalogue,
            rng=Random(f"{self.assignment.scenario.seed}/freshness/{who}"),
            visit=Visit(customer=f"{self.assignment.run_id}-freshness-{who}", signed_in=True),
        )  # fmt: skip


class ProductEdit(ABC):
    """One kind of edit; `sku` is the product edited last. `fetch`, `apply` and `revert` raise REFUSALS."""

    what: ClassVar[str]

    def __init__(self, target: EditTarget, skus: tuple[str, ...], *, timeout_s: float) -> None:
        self.sku = ""
        self._target, self._skus, self._timeout_s = target, skus, timeout_s

    @abstractmethod
    def fetch(self) -> str:
        """Read the values to restore; returns a sentence for the run's events."""

    @abstractmethod
    def apply(self, number: int) -> dict[str, Observation]:
        """Make the `number`-th change; returns how to look for it, by channel."""

    @abstractmethod
    def revert(self) -> None:
        """Restore the original values."""

    @abstractmethod
    def remaining(self) -> tuple[str, ...]:
        """The values that could not be restored, as sentences."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""


class StaffEdit(ProductEdit):
    """Staff change a product, and channels are looked at by its page."""

    noun: ClassVar[str]
    unit: ClassVar[str]

    def __init__(self, target: EditTarget, skus: tuple[str, ...], *, timeout_s: float) -> None:
        super().__init__(target, skus, timeout_s=timeout_s)
        self._was: dict[str, int] = {}
        self._changed: set[str] = set()  # products that may not be as they were
        self._staff = target.client(STAFF_LIMIT_S)
        channels = readers(target.assignment.scenario, target.driver)
        self._clients = {name: target.client(timeout_s) for name in channels}
        self._faces = {name: target.face(name, client, name) for name, client in self._clients.items()}

    def fetch(self) -> str:
        self._was = self._read()
        told = ", ".join(f"{sku} ({value} {self.unit})" for sku, value in self._was.items())
        return f"the {self.noun} of these products is changed for moments and put back: {told}"

    def revert(self) -> None:
        for sku in tuple(self._changed):
            self._set(sku, self._was[sku])
            self._changed.discard(sku)

    def remaining(self) -> tuple[str, ...]:
        return tuple(
            f"the {self.noun} of {sku} could not be put back to {self._was[sku]} {self.unit}"
            for sku in sorted(self._changed)
        )

    def close(self) -> None:
        for client in (self._staff, *self._clients.values()):
            client.close()

    @abstractmethod
    def _read(self) -> dict[str, int]:
        """What will be put back, by product."""

    @abstractmethod
    def _set(self, sku: str, value: int) -> int | None:
        """As staff; returns what customers will see where it is not `value`."""


class PriceEdit(StaffEdit):
    what, noun, unit = "price", "price", "pence"

    def apply(self, number: int) -> dict[str, Observation]:
        self.sku = sku = self._skus[number % len(self._skus)]
        self._changed.add(sku)
        wanted = self._was[sku] + 1 + number % MAX_CHANGE_PENCE
        told = self._set(sku, wanted)
        pence = wanted if told is None else told
        return {name: partial(_shows_price, face, sku, pence) for name, face in self._faces.items()}

    def _read(self) -> dict[str, int]:
        """From the channel that answers first."""
        for face in self._faces.values():
            try:
                return {sku: face.product(sku).price_pence for sku in self._skus}
            except REFUSALS:
                continue
        raise Rejected("product_without_price")

    def _set(self, sku: str, value: int) -> int | None:
        return self._target.driver.change_price(self._staff, sku, value)


class StockEdit(StaffEdit):
    """All that is on hand goes; only channels that offer the product until then are looked at."""

    what, noun, unit = "stock", "stock", "units"

    def apply(self, number: int) -> dict[str, Observation]:
        for step in range(len(self._skus)):
            self.sku = sku = self._skus[(number + step) % len(self._skus)]
            self._was[sku] = self._target.driver.stock_on_hand(self._staff, sku)
            looks = {name: partial(_shows_none, face, sku) for name, face in self._faces.items()}
            offering: dict[str, Observation] = {name: look for name, look in looks.items() if look() is False}
            if self._was[sku] > 0 and offering:
                self._changed.add(sku)
                self._set(sku, 0)
                return offering
        return {}  # every page still shows what an earlier change left, or nothing can be read

    def _read(self) -> dict[str, int]:
        return {sku: self._target.driver.stock_on_hand(self._staff, sku) for sku in self._skus}

    def _set(self, sku: str, value: int) -> int | None:
        self._target.driver.change_stock(self._staff, sku, value)
        return None


class BasketEdit(ProductEdit):
    """A customer with an account puts a line into the basket in one channel, and looks in the others."""

    what = "basket"

    def __init__(self, target: EditTarget, skus: tuple[str, ...], *, timeout_s: float) -> None:
        super().__init__(target, skus, timeout_s=timeout_s)
        self._channels = sharing(target.assignment.scenario, target.driver)
        self._clients: list[UnmeasuredClient] = []

    def fetch(self) -> str:
        told = ", ".join(self._skus)
        return f"customers of this run who sign in leave one unit of these products in their baskets: {told}"

    def apply(self, number: int) -> dict[str, Observation]:
        self.close()
        faces = {name: self._face(name, number) for name in self._channels}
        for face in faces.values():
            face.sign_in()
        giver = faces.pop(self._channels[number % len(self._channels)])
        self.sku = sku = self._skus[number % len(self._skus)]
        units = _units(giver, sku) + 1
        giver.add_to_basket(sku)
        return {name: partial(_shows_units, face, sku, units) for name, face in faces.items()}

    def revert(self) -> None:
        self.close()

    def remaining(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _face(self, channel: str, number: int) -> Any:
        self._clients.append(self._target.client(self._timeout_s))
        return self._target.face(channel, self._clients[-1], f"basket-{number}")


KINDS: dict[str, type[ProductEdit]] = {kind.what: kind for kind in (PriceEdit, StockEdit, BasketEdit)}


def edits_of(target: EditTarget) -> tuple[ProductEdit, ...]:
    """The kinds of change that the scenario asks for, each with products of its own."""
    scenario = target.assignment.scenario
    freshness = scenario.freshness
    assert freshness is not None, "who starts this has looked"
    kinds = measured(scenario, target.driver)
    skus = least_popular(target.assignment.catalogue, PRODUCTS * len(kinds))
    # A small shop has fewer products than that: then one kind's may be another's.
    return tuple(
        KINDS[what](target, skus[at :: len(kinds)] or skus[-1:], timeout_s=freshness.timeout_s)
        for at, what in enumerate(kinds)
    )


def measured(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The kinds of change that a run measures: those the scenario asks for, or all that the driver can do."""
    asked = scenario.freshness.of if scenario.freshness is not None else None
    if asked is not None:
        return asked
    return tuple(kind for kind in FRESHNESS_KINDS if not _lacks(kind, scenario, driver))


def missing_capabilities(scenario: Scenario, driver: type[Storefront]) -> Iterator[tuple[str, str]]:
    """What the scenario's `freshness` needs and the driver lacks, each with the way out."""
    for kind in measured(scenario, driver) or FRESHNESS_KINDS[:1]:
        if _lacks(kind, scenario, driver):
            yield _WAYS_OUT[kind]


def readers(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The scenario's channels in which a product can be looked at."""
    return tuple(
        name for name in scenario.channels if not driver.for_channel(name).missing_steps(("product",))
    )


def sharing(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The scenario's channels in which a customer who signed in finds one and the same basket."""
    steps = ("sign_in", "add_to_basket", "basket")
    return tuple(
        name for name in scenario.channels
        if name in driver.shared_baskets and not driver.for_channel(name).missing_steps(steps)
    )  # fmt: skip


def overrides(driver: type[Storefront], *steps: str) -> bool:
    """Whether the driver has class methods of its own for what staff do."""
    return all(getattr(driver, name).__func__ is not getattr(Storefront, name).__func__ for name in steps)


def least_popular(catalogue: Catalogue, count: int) -> tuple[str, ...]:
    """The SKUs that are bought least; of equals the last."""
    ends = catalogue.cumulative_weights
    weights = [end - start for start, end in zip((0.0, *ends), ends, strict=False)]
    order = sorted(range(len(weights)), key=lambda at: (weights[at], -at))
    return tuple(catalogue.skus[at] for at in order[:count])


_WAYS_OUT = {
    "price": (
        "change_price (freshness)",
        "add a class method change_price(client, sku, pence) to the driver",
    ),
    "stock": (
        "change_stock and stock_on_hand (freshness)",
        (
            "add class methods change_stock(client, sku, on_hand) and stock_on_hand(client, sku), "
            "or leave stock out of freshness.of"
        ),
    ),
    "basket": (
        "two channels of the scenario that share the basket of an account (freshness)",
        (
            "name them in the driver's shared_baskets, with sign_in, add_to_basket and a basket that returns "
            "a Basket, or leave basket out of freshness.of"
        ),
    ),
}


def _lacks(kind: str, scenario: Scenario, driver: type[Storefront]) -> bool:
    if kind == "basket":
        return len(sharing(scenario, driver)) < 2
    return not overrides(driver, *STAFF_STEPS[kind])


def _shows_price(face: Any, sku: str, pence: int) -> bool | None:
    try:
        shown = getattr(face.product(sku), "price_pence", None)
    except REFUSALS:
        return None
    return shown == pence if isinstance(shown, int) else None


def _shows_none(face: Any, sku: str) -> bool | None:
    try:
        available = getattr(face.product(sku), "available", None)
    except REFUSALS:
        return None
    return not available if isinstance(available, bool) else None


def _shows_units(face: Any, sku: str, units: int) -> bool | None:
    try:
        return _units(face, sku) >= units
    except REFUSALS:
        return None


def _units(face: Any, sku: str) -> int:
    """How many units of a product are in a basket. Raises: REFUSALS."""
    try:
        return int(face.basket().units.get(sku, 0))
    except Rejected as refusal:
        if refusal.cause == "empty_basket":
            return 0
        raise
