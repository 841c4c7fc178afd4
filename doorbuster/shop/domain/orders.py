"""Order requests of customers, tills and agents, and the validation of their fields."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from doorbuster.shop.http_errors import BadRequest, FieldProblem

_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,39}")
STORES = (
    "Bath",
    "Brighton",
    "Cambridge",
    "Cardiff",
    "Chester",
    "Edinburgh",
    "Leeds",
    "London",
    "Norwich",
    "York",
)
MAX_CLOCK_SKEW_S = 60.0
MAX_UNITS = 99
MAX_LINES = 50
GUEST_BASKET = """
SELECT 1 FROM baskets b LEFT JOIN account_baskets a ON a.basket = b.basket
WHERE b.basket = ? AND a.basket IS NULL
"""
INSERT_ORDER = """
INSERT INTO orders (order_ref, idempotency_key, fingerprint, channel, operator, customer_name, email, address,
  postcode, total_pence, placed_at_unix_s, picked_at_unix_s, state, store, account, sold_at_unix_s)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REF_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_POSTCODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{1,10}")
_CUSTOMER_FIELDS = (("name", 100), ("email", 254), ("address", 400), ("postcode", 12))


@dataclass(frozen=True, slots=True)
class OrderCustomer:
    name: str
    email: str
    address: str
    postcode: str


@dataclass(frozen=True, slots=True)
class WantedLine:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order to place: from a `basket`, or (`basket` None) with its `lines`, as tills and agents do.

    channel: None takes the channel in which the basket was created.
    fingerprint: distinguishes a repeated request from another one with the same key.
    collected: the goods leave with the customer, so there is nothing to pick.
    store: the store in which the goods are collected; None: delivery.
    session: of the signed-in customer.
    sold_at_unix_s: time of a sale made offline; the goods have left, so it is booked whatever the stock is.
    """

    key: str
    fingerprint: str
    channel: str | None
    customer: OrderCustomer | None
    operator: str | None = None
    basket: str | None = None
    lines: tuple[WantedLine, ...] = ()
    collected: bool = False
    store: str | None = None
    session: str | None = None
    sold_at_unix_s: float | None = None

    @property
    def paid_here(self) -> bool:
        """Whether the payment service is called: partners get an invoice, offline sales are already paid."""
        return self.channel != "partner" and self.sold_at_unix_s is None


class FormParser:
    """Reads the fields of a form or a JSON body and collects all problems."""

    def __init__(self, fields: Any, *, prefix: str = "") -> None:
        self.problems: list[FieldProblem] = []
        self._prefix = prefix
        self._fields: dict[str, Any] = {}
        if isinstance(fields, dict):
            self._fields = fields
        else:
            self.wrong(prefix.rstrip(".") or "body", "must be a JSON object")

    def wrong(self, field: str, rule: str) -> None:
        self.problems.append(FieldProblem(field, rule))

    def text(self, field: str, max_length: int, pattern: re.Pattern[str] | None = None) -> str:
        value = self._fields.get(field)
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            self.wrong(self._prefix + field, "must not be empty")
        elif len(text) > max_length:
            self.wrong(self._prefix + field, f"must be at most {max_length} characters (got {len(text)})")
        elif pattern is not None and not pattern.fullmatch(text):
            self.wrong(self._prefix + field, "is not valid")
        return text

    def number(self, field: str, low: int, high: int) -> int:
        value = self._fields.get(field)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(self._prefix + field, f"must be a whole number from {low} to {high}")
            return low
        return value

    def customer(self) -> OrderCustomer:
        patterns = {"email": EMAIL, "postcode": _POSTCODE}
        return OrderCustomer(
            *(self.text(field, length, patterns.get(field)) for field, length in _CUSTOMER_FIELDS)
        )

    def nested_customer(self) -> OrderCustomer:
        inner = FormParser(self._fields.get("customer"), prefix="customer.")
        customer = inner.customer()
        self.problems += inner.problems
        return customer

    def wanted(self) -> WantedLine:
        return WantedLine(self.text("sku", 32), self.number("quantity", 1, MAX_UNITS))

    def lines(self) -> tuple[WantedLine, ...]:
        """The lines of an order, the same SKU merged, in SKU order."""
        found = self._fields.get("lines")
        if not isinstance(found, list) or not 1 <= len(found) <= MAX_LINES:
            self.wrong("lines", f"must be a list of 1 to {MAX_LINES} lines")
            return ()
        units: dict[str, int] = {}
        for position, line in enumerate(found):
            inner = FormParser(line, prefix=f"lines[{position}].")
            wanted = inner.wanted()
            self.problems += inner.problems
            units[wanted.sku] = units.get(wanted.sku, 0) + wanted.quantity
        return tuple(WantedLine(sku, quantity) for sku, quantity in sorted(units.items()))

    def store(self) -> str | None:
        """The store to collect from; None (also for an empty field) means delivery."""
        value = self._fields.get("store")
        if value in (None, ""):
            return None
        if value not in STORES:
            self.wrong(self._prefix + "store", f"must be one of {', '.join(STORES)}")
            return None
        return str(value)

    def moment(self, field: str) -> float | None:
        """A Unix time in the past; None if it is not given."""
        value = self._fields.get(field)
        if value is None:
            return None
        past = isinstance(value, int | float) and not isinstance(value, bool)
        if not past or not 0 < value <= time.time() + MAX_CLOCK_SKEW_S:
            self.wrong(self._prefix + field, "must be a Unix time in seconds in the past")
            return None
        return float(value)

    def key(self, value: str | None, field: str) -> str:
        if value is None or not _KEY.fullmatch(value):
            self.wrong(field, "must be 1 to 128 visible ASCII characters")
            return ""
        return value

    def channel(self, value: str | None) -> str | None:
        if value is not None and not _CHANNEL.fullmatch(value):
            self.wrong("X-Channel", "must be a name of lower-case letters, digits and _, such as web")
        return value

    def finish(self) -> None:
        """Raises BadRequest with all problems found."""
        if self.problems:
            raise BadRequest(tuple(self.problems))


def new_order_ref() -> str:
    """An unguessable reference: whoever knows it may see the order."""
    return "LF-" + "".join(secrets.choice(_REF_LETTERS) for _ in range(10))


def order_row(
    request: OrderRequest,
    ref: str,
    *,
    channel: str,
    account: str | None,
    total_pence: int,
    now_unix_s: float,
) -> tuple[Any, ...]:
    """The parameters of INSERT_ORDER."""
    customer = request.customer
    return (
        ref,
        request.key,
        request.fingerprint,
        channel,
        request.operator,
        customer.name if customer else None,
        customer.email if customer else None,
        customer.address if customer else None,
        customer.postcode if customer else None,
        total_pence,
        now_unix_s,
        now_unix_s if request.collected else None,
        "collected" if request.collected else "placed",
        request.store,
        account,
        request.sold_at_unix_s,
    )
