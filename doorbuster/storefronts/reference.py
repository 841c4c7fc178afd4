"""The driver for the embedded reference shop: HTML pages for browsers, JSON for the tills and the telephone.

Content rules: a page marked `data-problem` is a refusal whatever its status; a product page must show its
SKU and a price; a search must find something; an order page must carry the order's reference.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from doorbuster.storefronts.protocol import (
    Assortment,
    BookedOrder,
    Books,
    Client,
    Line,
    Listing,
    Order,
    Product,
    Rejected,
    Response,
    StockRow,
    Storefront,
)

_PRODUCT_LINK = re.compile(r'href="/product/([A-Za-z0-9-]+)"')
_PROBLEM = re.compile(r'data-problem="([a-z-]+)"')
_SKU = re.compile(r'data-sku="([A-Za-z0-9-]+)"')
_OFFER = re.compile(r'"price":\s*"?(\d+(?:\.\d+)?)"?.*?"availability":\s*"[^"]*/(\w+)"', re.DOTALL)
_CATEGORY_LINK = re.compile(r'href="/category/([a-z0-9-]+)"')
_KEY_FIELD = re.compile(r'name="idempotency_key"')
_ORDER = re.compile(r'data-order-ref="([^"]+)"\s+data-total-pence="(\d+)"')
_SOLD_OUT = frozenset({"sold-out"})
_LEDGER_PAGE = 1000
_SEARCH_TERMS = 40


class ReferenceShop(Storefront):
    name = "reference"

    @classmethod
    def prepare(cls, client: Client) -> Assortment:
        stock = _checked(client.request("GET", "/ledger/stock?all=1", name="prepare")).json()["stock"]
        home = _checked(client.request("GET", "/", name="prepare")).text
        names = _checked(client.request("GET", "/api/home", name="prepare")).json()
        words = sorted({word for title in _titles(names) for word in title.lower().split() if len(word) > 3})
        return Assortment(
            skus=tuple(row["sku"] for row in stock),
            # Opening stock follows popularity, so it is the weight with which tills and agents draw.
            cumulative_weights=tuple(accumulate(float(max(row["opening"], 1)) for row in stock)),
            search_terms=tuple(words[:_SEARCH_TERMS]),
            categories=tuple(dict.fromkeys(_CATEGORY_LINK.findall(home))),
        )

    @classmethod
    def read_books(cls, client: Client, *, since_unix_s: float) -> Books | None:
        orders: list[BookedOrder] = []
        after = 0
        while True:
            url = f"/ledger/orders?after={after}&limit={_LEDGER_PAGE}"
            page = _checked(client.request("GET", url, name="ledger")).json()
            orders.extend(_booked(row) for row in page["orders"])
            if page["next"] is None:
                break
            after = page["next"]
        stock = _checked(client.request("GET", "/ledger/stock?all=1", name="ledger")).json()["stock"]
        return Books(
            orders=tuple(order for order in orders if order.placed_at_unix_s >= since_unix_s),
            stock=tuple(StockRow(row["sku"], row["opening"], row["on_hand"], row["sold"]) for row in stock),
        )

    # ---- browsing

    def home(self) -> Listing:
        return self._listing("/")

    def category(self) -> Listing:
        return self._listing(f"/category/{self.rng.choice(self.assortment.categories)}")

    def search(self) -> Listing:
        return self._listing(f"/search?q={self.rng.choice(self.assortment.search_terms)}")

    def landing(self) -> Product:
        """Behind a printed QR code: the code leads straight to one product."""
        return self._product(f"/q/{self.assortment.draw_sku(self.rng)}")

    def product(self, sku: str) -> Product:
        return self._product(f"/product/{sku}")

    # ---- basket and order in the browser

    def add_to_basket(self, sku: str) -> None:
        self._page("POST", "/basket/add", data={"sku": sku, "quantity": "1"})

    def basket(self) -> None:
        self._page("GET", "/basket")

    def checkout_page(self) -> None:
        page = self._page("GET", "/checkout")
        if not _KEY_FIELD.search(page.text):
            raise Rejected("checkout_without_form", page.text[:200])

    def checkout(self, key: str, lines: tuple[Line, ...]) -> Order:
        page = self._page("POST", "/checkout", data={**_CUSTOMER, "idempotency_key": key})
        found = _ORDER.search(page.text)
        if found is None:
            raise Rejected("order_without_reference", page.text[:200])
        return Order(ref=found[1], total_pence=int(found[2]), lines=lines)

    def order_status(self, ref: str) -> None:
        page = self._page("GET", f"/order/{ref}")
        if _ORDER.search(page.text) is None:
            raise Rejected("order_without_reference", page.text[:200])

    # ---- tills and telephone

    def till_sale(self, key: str, lines: tuple[Line, ...]) -> Order:
        body = {"till": f"till-{self.rng.randrange(1, 400)}", "lines": _wire(lines)}
        return self._order("/api/till/sales", key, body)

    def phone_order(self, key: str, lines: tuple[Line, ...]) -> Order:
        agent = f"agent-{self.rng.randrange(1, 100)}"
        return self._order(
            "/api/phone/orders", key, {"agent": agent, "customer": _CUSTOMER, "lines": _wire(lines)}
        )

    def look_up_order(self, ref: str) -> None:
        """An agent answers "where is my order?"."""
        if "order_ref" not in self._json("GET", f"/api/orders/{ref}"):
            raise Rejected("order_without_reference")

    # ---- how this shop says no

    def _page(self, method: str, url: str, **options: Any) -> Response:
        response = self.client.request(method, url, headers={"X-Channel": self.channel}, **options)
        if response.status_code:
            _refuse_problem(response)
        return _checked(response)

    def _listing(self, url: str) -> Listing:
        page = self._page("GET", url)
        skus = tuple(dict.fromkeys(_PRODUCT_LINK.findall(page.text)))
        if not skus:
            raise Rejected("empty_listing", page.text[:200])
        return Listing(skus)

    def _product(self, url: str) -> Product:
        page = self._page("GET", url)
        sku, offer = _SKU.search(page.text), _OFFER.search(page.text)
        if sku is None or offer is None:
            raise Rejected("product_without_price", page.text[:200])
        return Product(sku=sku[1], price_pence=round(float(offer[1]) * 100), available=offer[2] == "InStock")

    def _json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        response = self.client.request(method, url, **options)
        if response.status_code >= 400 and "problem+json" in response.headers.get("content-type", ""):
            problem = str(response.json().get("type", ""))
            if problem.rsplit("/", 1)[-1].rsplit(":", 1)[-1] in _SOLD_OUT:
                raise Rejected("sold_out", problem, by_rule=True)
        answer = _checked(response).json()
        if not isinstance(answer, dict):
            raise Rejected("unexpected_json", str(answer)[:200])
        return answer

    def _order(self, url: str, key: str, body: dict[str, Any]) -> Order:
        answer = self._json("POST", url, json=body, headers={"Idempotency-Key": key})
        lines = tuple(Line(row["sku"], row["quantity"], row["unit_pence"]) for row in answer["lines"])
        return Order(ref=answer["order_ref"], total_pence=answer["total_pence"], lines=lines)


_CUSTOMER = {
    "name": "Test Customer",
    "email": "test.customer@example.com",
    "address": "1 Test Street, London",
    "postcode": "W1A 1AA",
}


def _checked(response: Response) -> Response:
    if response.cause:
        raise Rejected(response.cause, response.text[:200] if response.status_code else "")
    return response


def _refuse_problem(response: Response) -> None:
    problem = _PROBLEM.search(response.text)
    if problem is None:
        return
    if problem[1] in _SOLD_OUT:
        raise Rejected("sold_out", by_rule=True)
    raise Rejected("busy_page" if problem[1] == "busy" else problem[1].replace("-", "_"))


def _titles(home: Any) -> list[str]:
    """Product names anywhere in the home document, whatever its sections are called."""
    if isinstance(home, dict):
        own = [home["name"]] if isinstance(home.get("name"), str) and "sku" in home else []
        return own + [title for value in home.values() for title in _titles(value)]
    if isinstance(home, list):
        return [title for value in home for title in _titles(value)]
    return []


def _wire(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    return [{"sku": line.sku, "quantity": line.quantity} for line in lines]


def _booked(row: dict[str, Any]) -> BookedOrder:
    return BookedOrder(
        ref=row["order_ref"],
        idempotency_key=row["idempotency_key"] or "",
        channel=row["channel"],
        total_pence=row["total_pence"],
        placed_at_unix_s=row["placed_at_unix_s"],
        picked_at_unix_s=row["picked_at_unix_s"],
        lines=tuple(Line(line["sku"], line["quantity"], line["unit_pence"]) for line in row["lines"]),
    )
