"""What the drivers of the reference shop share: the ledger, the customer's identity and refusals.

Content rules: a page marked `data-problem` is a refusal, whatever its status; so is a problem document. "Sold
out", and a change that was made before, are correct behaviour of the shop.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import accumulate
from string import digits
from typing import Any
from urllib.parse import quote
from zlib import crc32

from doorbuster.shop_settings import ACCOUNTS
from doorbuster.storefronts.accounts import account_email
from doorbuster.storefronts.answers import json_of
from doorbuster.storefronts.base import (
    BasketLine,
    BookedOrder,
    Catalogue,
    LedgerSnapshot,
    Order,
    Rejected,
    StockRow,
    Storefront,
    WaitingRoomError,
    checked,
)
from doorbuster.storefronts.http import Client, HttpResponse
from doorbuster.storefronts.waiting_rooms import reload_interval_s, waiting_room_poll_s

STORES = ("London", "Leeds", "York", "Bath")  # some of the shop's stores
NEW_PASSWORD = "a-new-platform-for-us"  # noqa: S105  of invented people
_PROBLEM = re.compile(r'data-problem="([a-z-]+)"')
_CATEGORY_LINK = re.compile(r'href="/category/([a-z0-9-]+)"')
_EXPECTED_REFUSALS = frozenset({"sold-out", "already-collected", "already-returned", "already-cancelled"})
_BUSY = {"busy": "busy_page", "holding-page": "holding_page"}
_SECONDS = re.compile(r"[0-9]{1,9}")
_GONE = frozenset({"returned", "cancelled"})
_LEDGER_PAGE = 1000
_SEARCH_TERMS = 40
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


class ReferenceBase(Storefront):
    name = "reference"
    shared_baskets = ("web", "app", "print", "social")

    # ---- around the run

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        stock = checked(client.request("GET", "/ledger/stock?all=1", name="prepare")).json()["stock"]
        home = checked(client.request("GET", "/ledger/range", name="prepare")).json()
        return Catalogue(
            skus=tuple(row["sku"] for row in stock),
            # Opening stock follows popularity, so it is the weight with which tills and agents draw.
            cumulative_weights=tuple(accumulate(float(max(row["opening"], 1)) for row in stock)),
            search_terms=tuple(home["search_terms"][:_SEARCH_TERMS]),
            categories=tuple(home["categories"]),
        )

    @classmethod
    def read_ledger(cls, client: Client, *, since_unix_s: float) -> LedgerSnapshot | None:
        orders: list[BookedOrder] = []
        after = 0
        while True:
            url = f"/ledger/orders?after={after}&limit={_LEDGER_PAGE}"
            page = checked(client.request("GET", url, name="ledger")).json()
            orders.extend(_booked(row) for row in page["orders"])
            if page["next"] is None:
                break
            after = page["next"]
        stock = checked(client.request("GET", "/ledger/stock?all=1", name="ledger")).json()["stock"]
        return LedgerSnapshot(
            orders=tuple(order for order in orders if order.placed_at_unix_s >= since_unix_s),
            stock=tuple(StockRow(row["sku"], row["opening"], row["on_hand"], row["sold"]) for row in stock),
        )

    @classmethod
    def cancel_order(cls, client: Client, ref: str) -> None:
        """Cancel the order as staff do; goods that were collected already are returned."""
        response = client.request("POST", f"/api/staff/orders/{ref}/cancel", name="cancel_order")
        if _slug(response) == "already-collected":
            response = client.request("POST", f"/api/orders/{ref}/returns", name="cancel_order")
        if _slug(response) != "already-returned":  # its goods are for sale again already
            _refuse_document(response)
            checked(response)

    @classmethod
    def change_price(cls, client: Client, sku: str, pence: int) -> None:
        """Set the price of a product as staff do."""
        _staff_set(client, f"/api/staff/products/{sku}/price", price_pence=pence)

    @classmethod
    def stock_on_hand(cls, client: Client, sku: str) -> int:
        response = client.request("GET", f"/ledger/stock?sku={quote(sku)}", name="stock_on_hand")
        _refuse_document(response)
        rows = checked(response).json()["stock"]
        if not rows:
            raise Rejected("unknown_sku", sku)
        return int(rows[0]["on_hand"])

    @classmethod
    def change_stock(cls, client: Client, sku: str, on_hand: int) -> None:
        _staff_set(client, f"/api/staff/products/{sku}/stock", on_hand=on_hand)

    # ---- the customer

    @property
    def person(self) -> dict[str, str]:
        """Name and address entered at the checkout, the same in every channel."""
        if not self.visit.customer:
            return _CUSTOMER
        email = account_email(self.visit)
        return {**_CUSTOMER, "name": f"Test Customer {email.partition('@')[0]}", "email": email}

    def _member(self, email: str) -> str:
        """The customer's account among the opening accounts of the shop.

        Customers with consecutive numbers get consecutive accounts, so no two of 5,000 share a basket.
        """
        name = self.visit.customer or str(self.rng.random())
        prefix = name.rstrip(digits)
        number = crc32(prefix.encode()) + int(name[len(prefix) :] or 0)
        return email.format(number % ACCOUNTS + 1)

    # Drawn once: a request that is repeated under its idempotency key must not change.

    @cached_property
    def _store(self) -> str:
        return self.rng.choice(STORES)

    @cached_property
    def _desk(self) -> int:
        """The number of the till or the call-centre agent."""
        return self.rng.randrange(1, 400)

    def _address(self, url: str) -> str:
        """The URL with the visit's campaign, if any, which makes it unique and so uncached."""
        if not self.visit.campaign:
            return url
        joint = "&" if "?" in url else "?"
        return f"{url}{joint}utm_campaign={_NOT_IN_A_NAME.sub('-', self.visit.campaign)}"

    # ---- requests

    def _send(self, method: str, url: str, **options: Any) -> HttpResponse:
        """The shop's response, even a refusal. Raises WaitingRoomError."""
        response = self.client.request(method, url, **options)
        if response.status_code and (poll_s := waiting_room_poll_s(response)) is not None:
            raise WaitingRoomError(poll_s)
        return response

    def _page(self, method: str, url: str, **options: Any) -> HttpResponse:
        response = self._send(method, url, headers={"X-Channel": self.channel}, **options)
        if response.status_code:
            _refuse_page(response)
        return checked(response)

    def _json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        response = self._send(method, url, **options)
        _refuse_document(response)
        answer = json_of(checked(response))
        if not isinstance(answer, dict):
            raise Rejected("unexpected_content", str(answer)[:200])
        return answer

    def _order(self, url: str, key: str, body: dict[str, Any], **headers: str) -> Order:
        answer = self._json("POST", url, json=body, headers={"Idempotency-Key": key, **headers})
        lines = tuple(BasketLine(row["sku"], row["quantity"], row["unit_pence"]) for row in answer["lines"])
        return Order(ref=answer["order_ref"], total_pence=answer["total_pence"], lines=lines)

    def _words(self, count: int) -> str:
        """Random words of the catalogue, for reviews and questions."""
        return " ".join(self.rng.choices(self.catalogue.search_terms or ("good",), k=count)).capitalize()


_CUSTOMER = {
    "name": "Test Customer",
    "email": "test.customer@example.com",
    "address": "1 Test Street, London",
    "postcode": "W1A 1AA",
}


def _staff_set(client: Client, url: str, **what: int) -> None:
    response = client.request("POST", url, json=what, name=f"change_{url.rpartition('/')[2]}")
    _refuse_document(response)
    checked(response)


def lines_json(lines: tuple[BasketLine, ...]) -> list[dict[str, Any]]:
    """Order lines for the JSON API."""
    return [{"sku": line.sku, "quantity": line.quantity} for line in lines]


def parse_problem(response: HttpResponse) -> str:
    """The `data-problem` of a page; empty if it has none."""
    found = _PROBLEM.search(response.text)
    return found[1] if found else ""


def _refuse_page(response: HttpResponse) -> None:
    slug = parse_problem(response)
    if slug:
        raise _rejected(slug, "", response)


def _refuse_document(response: HttpResponse) -> None:
    slug = _slug(response)
    if slug:
        raise _rejected(slug, str(_problem_document(response).get("detail", "")), response)


def _rejected(slug: str, detail: str, response: HttpResponse) -> Rejected:
    cause = _BUSY.get(slug, slug.replace("-", "_"))
    return Rejected(
        cause, detail, expected=slug in _EXPECTED_REFUSALS, retry_after_s=_retry_after_s(response)
    )


def _retry_after_s(response: HttpResponse) -> float | None:
    stated = response.headers.get("retry-after", "")
    return float(stated) if _SECONDS.fullmatch(stated) else reload_interval_s(response)


def _slug(response: HttpResponse) -> str:
    """The type of a problem document; empty for any other response."""
    if response.status_code < 400 or "problem+json" not in response.headers.get("content-type", ""):
        return ""
    return str(_problem_document(response).get("type", "")).rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _problem_document(response: HttpResponse) -> dict[str, Any]:
    """The document that explains the status; empty if it is damaged, because the status says enough."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _booked(row: dict[str, Any]) -> BookedOrder:
    """A cancelled or returned order takes no stock, so it gets no lines."""
    lines = () if row["state"] in _GONE else row["lines"]
    return BookedOrder(
        ref=row["order_ref"],
        idempotency_key=row["idempotency_key"] or "",
        channel=row["channel"],
        total_pence=row["total_pence"],
        placed_at_unix_s=row["placed_at_unix_s"],
        picked_at_unix_s=row["picked_at_unix_s"],
        lines=tuple(BasketLine(line["sku"], line["quantity"], line["unit_pence"]) for line in lines),
    )
