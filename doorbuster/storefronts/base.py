"""The steps a customer can take in any shop.

A *storefront* is a driver: it implements "search" or "place the order" for one kind of shop. Journeys are
written against `Storefront`; a new shop needs one subclass.

Rules of a driver:
- One method is one step: one request, or one page with its critical requests. The method's name is the
  step's name in reports and thresholds.
- The content decides whether a step succeeds, not the status. Return a value only if the customer got the
  expected result; otherwise raise `Rejected` with a one-word cause.
- A driver never sleeps, retries or measures; the step runner does that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, NamedTuple

from doorbuster.storefronts.http import Client, HttpResponse
from doorbuster.storefronts.waiting_rooms import waiting_room_poll_s


class Rejected(Exception):  # noqa: N818  a response of the shop, not an error of the program
    """The shop responded, but not with the expected result.

    Args:
        cause: one word, such as "busy_page", "sold_out" or "status_5xx".
        detail: evidence for the cause, such as the start of the page.
        expected: True if the shop works correctly, such as when an item is sold out. The request then counts
            as answered.
        retry_after_s: the delay that the shop asks for before a retry, such as the reload interval of a page.
    """

    def __init__(
        self, cause: str, detail: str = "", *, expected: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
        self.detail = detail
        self.expected = expected
        self.retry_after_s = retry_after_s


class WaitingRoomError(Exception):
    """The shop put the customer into a waiting room instead of answering.

    The customer decides whether to stay; if so, the same step is tried again after `poll_after_s`.
    """

    def __init__(self, poll_after_s: float) -> None:
        super().__init__(f"in a waiting room, poll again after {poll_after_s:g} s")
        self.poll_after_s = poll_after_s


class Visit(NamedTuple):
    """The customer's identity and device, as far as requests show them.

    customer: identifies the person in all channels of this visit.
    device: "desktop", "mobile", "tablet", or "" where there is none (a till).
    campaign: becomes part of the URLs of this visit, so that they miss every cache; "" for none.
    signed_in: whether the customer orders with an account instead of as a guest.
    """

    customer: str = ""
    device: str = ""
    campaign: str = ""
    signed_in: bool = False


def _text(value: object, what: str) -> str:
    """A name or number that the shop sent, as text. Raises: Rejected if it is something else."""
    if type(value) is str and value:
        return value
    if type(value) is int and -_LIMIT <= value < _LIMIT:
        return str(value)
    raise Rejected("unexpected_content", f"{what} must be a text (got {str(value)[:60]!r})")


def _whole(value: object, what: str) -> int:
    """A whole number that the shop sent. Raises: Rejected if it is something else or needs over 64 bits."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and -_LIMIT <= value < _LIMIT:
        return value
    raise Rejected("unexpected_content", f"{what} must be a whole number (got {str(value)[:60]!r})")


_LIMIT = 1 << 63

# Drivers fill the classes below with what the shop sent. They check the types, so that a null or an object in
# an answer fails the shop at this step, and not the journey, the run file or an analysis later.


@dataclass(frozen=True, slots=True)
class Listing:
    """The products on a page, in the order shown. Raises: Rejected (unexpected_content) for other types."""

    skus: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(type(sku) is str for sku in self.skus):
            object.__setattr__(self, "skus", tuple(_text(sku, "a SKU") for sku in self.skus))


@dataclass(frozen=True, slots=True)
class Product:
    """A product page. Raises: Rejected (unexpected_content) for other types."""

    sku: str
    price_pence: int
    available: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "sku", _text(self.sku, "the SKU"))
        object.__setattr__(self, "price_pence", _whole(self.price_pence, "the price in pence"))


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One line of a basket: SKU, quantity and unit price in pence.

    Raises: Rejected (unexpected_content) for other types.
    """

    sku: str
    quantity: int
    unit_pence: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sku", _text(self.sku, "the SKU of a line"))
        object.__setattr__(self, "quantity", _whole(self.quantity, "the quantity of a line"))
        object.__setattr__(self, "unit_pence", _whole(self.unit_pence, "the unit price in pence"))


@dataclass(frozen=True, slots=True)
class Basket:
    """The contents of a basket: units by SKU. Raises: Rejected (unexpected_content) for other types."""

    units: Mapping[str, int]

    def __post_init__(self) -> None:
        units = {_text(sku, "a SKU"): _whole(count, "a quantity") for sku, count in self.units.items()}
        object.__setattr__(self, "units", units)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that the shop has acknowledged to the customer.

    Raises: Rejected (unexpected_content) for other types.
    """

    ref: str
    total_pence: int
    lines: tuple[BasketLine, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ref", _text(self.ref, "the order reference"))
        object.__setattr__(self, "total_pence", _whole(self.total_pence, "the total in pence"))


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """One order in the shop's own ledger; times are Unix seconds."""

    ref: str
    idempotency_key: str
    channel: str
    total_pence: int
    placed_at_unix_s: float
    picked_at_unix_s: float | None
    lines: tuple[BasketLine, ...]


@dataclass(frozen=True, slots=True)
class StockRow:
    sku: str
    opening: int
    on_hand: int
    sold: int


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The shop's ledger and stock at one moment."""

    orders: tuple[BookedOrder, ...]
    stock: tuple[StockRow, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The products on sale with their relative popularity; tills and agents use it instead of pages.

    places: for each SKU what else the driver needs to find it, such as a slug or a number; the SKUs are then
        sorted. Empty where the SKU is enough.
    staff: credentials of tills and agents, such as a session token; never written to disk.
    """

    skus: tuple[str, ...]
    cumulative_weights: tuple[float, ...]
    search_terms: tuple[str, ...]
    categories: tuple[str, ...]
    places: tuple[str, ...] = ()
    staff: tuple[str, ...] = field(default=(), repr=False)

    def draw_sku(self, rng: Random) -> str:
        return rng.choices(self.skus, cum_weights=self.cumulative_weights)[0]

    def best_seller(self) -> str:
        """The SKU with the highest popularity."""
        weights = [
            b - a for a, b in zip((0.0, *self.cumulative_weights), self.cumulative_weights, strict=False)
        ]
        return self.skus[weights.index(max(weights))]

    def place_of(self, sku: str) -> str:
        """The `places` entry of a SKU.

        Raises: Rejected (unknown_sku) if the shop did not sell it when the run was prepared.
        """
        at = bisect_left(self.skus, sku)
        if at == len(self.skus) or self.skus[at] != sku:
            raise Rejected("unknown_sku", sku)
        return self.places[at]


_PLAIN_VISIT = Visit()


class Storefront:
    """Base of all drivers: one instance per customer.

    A subclass implements the steps its shop has. A journey that needs a step the driver lacks is refused
    before the run (`missing_steps`).
    """

    name: ClassVar[str]
    shared_baskets: ClassVar[tuple[str, ...]] = ()
    """Channels in which a signed-in customer has the same basket, which `basket` returns."""
    open_session: ClassVar[Callable[..., Any] | None] = None
    """Opens a customer's client for another protocol than HTTP: see docs/how-to/add-a-protocol.md."""

    def __init__(
        self,
        client: Client,
        *,
        channel: str,
        catalogue: Catalogue,
        rng: Random,
        visit: Visit = _PLAIN_VISIT,
    ) -> None:
        self.client = client
        self.channel = channel
        self.catalogue = catalogue
        self.rng = rng
        self.visit = visit

    @classmethod
    def for_channel(cls, channel: str) -> type[Storefront]:  # noqa: ARG003  for drivers
        """The driver for customers of `channel`; another class where, for example, the app uses an API."""
        return cls

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        """Read the products on sale, once before the run; not measured."""
        raise NotImplementedError

    @classmethod
    def read_ledger(cls, client: Client, *, since_unix_s: float) -> LedgerSnapshot | None:  # noqa: ARG003  for drivers
        """Read the shop's ledger for the audit after the run; None if the shop exposes none."""
        return None

    @classmethod
    def cancel_order(cls, client: Client, ref: str) -> None:
        """Cancel a test order, so that its goods are for sale again.

        Raises:
            Rejected: the shop refuses, for example because the order has been shipped.
            NotImplementedError: the driver does not support it.
        """
        raise NotImplementedError

    @classmethod
    def change_price(cls, client: Client, sku: str, pence: int) -> int | None:
        """Set the price of a product as staff do; `freshness` measures when customers see it.

        Returns: the price customers will see if the shop rounds it, e.g. because of tax; None: `pence`.

        Raises:
            Rejected: the shop refuses or does not confirm the change.
            NotImplementedError: the driver does not support it.
        """
        raise NotImplementedError

    @classmethod
    def stock_on_hand(cls, client: Client, sku: str) -> int:
        """Units of a product on hand, as staff see them. Raises: as `change_price`."""
        raise NotImplementedError

    @classmethod
    def change_stock(cls, client: Client, sku: str, on_hand: int) -> None:
        """Set the units of a product on hand as staff do; with 0, pages must show it as sold out.

        Raises: as `change_price`.
        """
        raise NotImplementedError

    @classmethod
    def missing_steps(cls, steps: Sequence[str]) -> tuple[str, ...]:
        """The steps among `steps` that this driver lacks; empty when it can do all of them.

        What every driver has, such as `fetch`, is not a step.
        """
        return tuple(
            step for step in steps if hasattr(Storefront, step) or not callable(getattr(cls, step, None))
        )

    def fetch(self, method: str, url: str, **options: Any) -> HttpResponse:
        """Send a request and return the response.

        Raises:
            WaitingRoomError: a waiting room answered instead.
            Rejected: with the transport's or the status' cause.
        """
        response = self.client.request(method, url, **options)
        if response.status_code and (poll_s := waiting_room_poll_s(response)) is not None:
            raise WaitingRoomError(poll_s)
        return checked(response)


def checked(response: HttpResponse) -> HttpResponse:
    """The response. Raises: Rejected with the transport's or the status' cause."""
    if response.cause:
        raise Rejected(response.cause, response.detail)
    return response
