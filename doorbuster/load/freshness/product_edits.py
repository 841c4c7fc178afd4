"""Edits that the freshness watch makes during a run: a price, a stock level or a customer's basket.

Rules of this module:
- An edit is made in one place (by staff, or in one channel) and looked for in all others. `apply` returns as
  soon as the shop confirms it; everything that must be read first is read before.
- Products are those bought least. `revert` restores the old values, as often as it takes. Baskets belong to
  accounts of the run, one for each edit, and are not reverted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, ClassVar

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.run_plan import RunPlan
from doorbuster.load.target.endpoint import UnmeasuredClient
from doorbuster.scenario import FRESHNESS_KINDS, Scenario
from doorbuster.storefronts import Catalogue, Rejected, Storefront, Visit, WaitingRoomError

PRODUCTS = 3  # for each kind of edit
STAFF_STEPS = {"price": ("change_price",), "stock": ("change_stock", "stock_on_hand")}
STAFF_LIMIT_S = 10.0
MAX_CHANGE_PENCE = 97
_NOT_AS_EXPECTED = (ValueError, KeyError, TypeError)  # a page with other content
REFUSALS = (Rejected, WaitingRoomError, RequestFailed, *_NOT_AS_EXPECTED)

Observation = Callable[[], bool | None]
"""Whether a channel shows the change: yes, no (it shows the old value), or unknown (None)."""


@dataclass(frozen=True, slots=True)
class EditTarget:
    """The shop, with clients that are separate from the customers' clients."""

    plan: RunPlan
    driver: type[Storefront]
    ceiling: RequestCeiling

    def client(self, limit_s: float) -> UnmeasuredClient:
        plan = self.plan
        return UnmeasuredClient(plan.first_endpoint.url, plan.access, limit_s=limit_s, ceiling=self.ceiling)

    def storefront(self, channel: str, client: UnmeasuredClient, name: str) -> Any:
        """The driver of this channel for a customer of this name."""
        return self.driver.for_channel(channel)(
            client, channel=channel, catalogue=self.plan.first_endpoint.catalogue,
            rng=Random(f"{self.plan.scenario.seed}/freshness/{name}"),
            visit=Visit(customer=f"{self.plan.run_id}-freshness-{name}", signed_in=True),
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
        """Make the `number`-th edit; returns how to look for it, by channel."""

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
    """Staff edit a product; its page shows whether a channel has the change."""

    noun: ClassVar[str]

    def __init__(self, target: EditTarget, skus: tuple[str, ...], *, timeout_s: float) -> None:
        super().__init__(target, skus, timeout_s=timeout_s)
        self._was: dict[str, int] = {}
        self._changed: set[str] = set()  # products that may not be reverted
        self._staff = target.client(STAFF_LIMIT_S)
        channels = readers(target.plan.scenario, target.driver)
        self._clients = {name: target.client(timeout_s) for name in channels}
        self._shops = {name: target.storefront(name, client, name) for name, client in self._clients.items()}

    def fetch(self) -> str:
        self._was = self._read()
        products = ", ".join(f"{sku} ({self._text(value)})" for sku, value in self._was.items())
        return f"the {self.noun} of these products is changed for moments and put back: {products}"

    def revert(self) -> None:
        for sku in tuple(self._changed):
            self._set(sku, self._was[sku])
            self._changed.discard(sku)

    def remaining(self) -> tuple[str, ...]:
        return tuple(
            f"the {self.noun} of {sku} could not be put back to {self._text(self._was[sku])}"
            for sku in sorted(self._changed)
        )

    def close(self) -> None:
        for client in (self._staff, *self._clients.values()):
            client.close()

    @abstractmethod
    def _read(self) -> dict[str, int]:
        """The values to restore, by product."""

    @abstractmethod
    def _text(self, value: int) -> str:
        """A value with its unit."""

    @abstractmethod
    def _set(self, sku: str, value: int) -> int | None:
        """Set a value as staff; returns the value that customers will see if it differs."""


class PriceEdit(StaffEdit):
    what, noun = "price", "price"

    def apply(self, number: int) -> dict[str, Observation]:
        self.sku = sku = self._skus[number % len(self._skus)]
        self._changed.add(sku)
        wanted = self._was[sku] + 1 + number % MAX_CHANGE_PENCE
        rounded = self._set(sku, wanted)
        pence = wanted if rounded is None else rounded
        return {name: partial(_shows_price, shop, sku, pence) for name, shop in self._shops.items()}

    def _read(self) -> dict[str, int]:
        """Prices from the first channel that shows all of them."""
        for shop in self._shops.values():
            try:
                return {sku: shop.product(sku).price_pence for sku in self._skus}
            except REFUSALS:
                continue
        raise Rejected("product_without_price")

    def _set(self, sku: str, value: int) -> int | None:
        return self._target.driver.change_price(self._staff, sku, value)

    def _text(self, value: int) -> str:
        return self._target.plan.scenario.target.money.text_of(value)


class StockEdit(StaffEdit):
    """Staff set the stock to zero; only channels that offered the product before are polled."""

    what, noun = "stock", "stock"

    def apply(self, number: int) -> dict[str, Observation]:
        for step in range(len(self._skus)):
            self.sku = sku = self._skus[(number + step) % len(self._skus)]
            self._was[sku] = self._target.driver.stock_on_hand(self._staff, sku)
            all_channels = {name: partial(_shows_none, shop, sku) for name, shop in self._shops.items()}
            offering: dict[str, Observation] = {
                name: is_gone for name, is_gone in all_channels.items() if is_gone() is False
            }
            if self._was[sku] > 0 and offering:
                self._changed.add(sku)
                self._set(sku, 0)
                return offering
        return {}  # every page still shows an earlier edit, or cannot be read

    def _text(self, value: int) -> str:
        return f"{value} units"

    def _read(self) -> dict[str, int]:
        return {sku: self._target.driver.stock_on_hand(self._staff, sku) for sku in self._skus}

    def _set(self, sku: str, value: int) -> int | None:
        self._target.driver.change_stock(self._staff, sku, value)
        return None


class BasketEdit(ProductEdit):
    """A customer with an account adds to the basket in one channel and looks at it in the others."""

    what = "basket"

    def __init__(self, target: EditTarget, skus: tuple[str, ...], *, timeout_s: float) -> None:
        super().__init__(target, skus, timeout_s=timeout_s)
        self._channels = sharing(target.plan.scenario, target.driver)
        self._clients: list[UnmeasuredClient] = []

    def fetch(self) -> str:
        skus = ", ".join(self._skus)
        return f"customers of this run who sign in leave one unit of these products in their baskets: {skus}"

    def apply(self, number: int) -> dict[str, Observation]:
        self.close()
        shops = {name: self._storefront(name, number) for name in self._channels}
        for shop in shops.values():
            shop.sign_in()
        edited = shops.pop(self._channels[number % len(self._channels)])
        self.sku = sku = self._skus[number % len(self._skus)]
        units = _units(edited, sku) + 1
        edited.add_to_basket(sku)
        return {name: partial(_shows_units, shop, sku, units) for name, shop in shops.items()}

    def revert(self) -> None:
        self.close()

    def remaining(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _storefront(self, channel: str, number: int) -> Any:
        self._clients.append(self._target.client(self._timeout_s))
        return self._target.storefront(channel, self._clients[-1], f"basket-{number}")


KINDS: dict[str, type[ProductEdit]] = {kind.what: kind for kind in (PriceEdit, StockEdit, BasketEdit)}


def edits_for(target: EditTarget, *, timeout_s: float) -> tuple[ProductEdit, ...]:
    """The kinds of edit that the scenario measures, each with products of its own."""
    kinds = measured(target.plan.scenario, target.driver)
    skus = least_popular(target.plan.first_endpoint.catalogue, PRODUCTS * len(kinds))
    # In a shop with few products two kinds may edit the same one.
    return tuple(
        KINDS[what](target, skus[at :: len(kinds)] or skus[-1:], timeout_s=timeout_s)
        for at, what in enumerate(kinds)
    )


def measured(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The kinds of edit that a run measures: those of the scenario, or all that the driver supports."""
    asked = scenario.freshness.changes if scenario.freshness is not None else None
    if asked is not None:
        return asked
    return tuple(kind for kind in FRESHNESS_KINDS if not _lacks(kind, scenario, driver))


def missing_capabilities(scenario: Scenario, driver: type[Storefront]) -> Iterator[tuple[str, str]]:
    """What `freshness` needs and the driver lacks, each with a way out."""
    for kind in measured(scenario, driver) or FRESHNESS_KINDS[:1]:
        if _lacks(kind, scenario, driver):
            yield _WAYS_OUT[kind]


def readers(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The scenario's channels that show a product."""
    return tuple(
        name for name in scenario.channels if not driver.for_channel(name).missing_steps(("product",))
    )


def sharing(scenario: Scenario, driver: type[Storefront]) -> tuple[str, ...]:
    """The scenario's channels that share the basket of a signed-in customer."""
    steps = ("sign_in", "add_to_basket", "basket")
    return tuple(
        name for name in scenario.channels
        if name in driver.shared_baskets and not driver.for_channel(name).missing_steps(steps)
    )  # fmt: skip


def overrides(driver: type[Storefront], *steps: str) -> bool:
    """Whether the driver implements these class methods."""
    return all(getattr(driver, name).__func__ is not getattr(Storefront, name).__func__ for name in steps)


def least_popular(catalogue: Catalogue, count: int) -> tuple[str, ...]:
    """The SKUs that are bought least, the last ones first among equals."""
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
            "or leave stock out of freshness.changes"
        ),
    ),
    "basket": (
        "two channels of the scenario that share the basket of an account (freshness)",
        (
            "name them in the driver's shared_baskets, with sign_in, add_to_basket and a basket that returns "
            "a Basket, or leave basket out of freshness.changes"
        ),
    ),
}


def _lacks(kind: str, scenario: Scenario, driver: type[Storefront]) -> bool:
    if kind == "basket":
        return len(sharing(scenario, driver)) < 2
    return not overrides(driver, *STAFF_STEPS[kind])


def _shows_price(shop: Any, sku: str, pence: int) -> bool | None:
    try:
        shown = getattr(shop.product(sku), "price_pence", None)
    except REFUSALS:
        return None
    return shown == pence if isinstance(shown, int) else None


def _shows_none(shop: Any, sku: str) -> bool | None:
    try:
        available = getattr(shop.product(sku), "available", None)
    except REFUSALS:
        return None
    return not available if isinstance(available, bool) else None


def _shows_units(shop: Any, sku: str, units: int) -> bool | None:
    try:
        return _units(shop, sku) >= units
    except REFUSALS:
        return None


def _units(shop: Any, sku: str) -> int:
    """Units of a product in the basket. Raises: REFUSALS."""
    try:
        return int(shop.basket().units.get(sku, 0))
    except Rejected as refusal:
        if refusal.cause == "empty_basket":
            return 0
        raise
