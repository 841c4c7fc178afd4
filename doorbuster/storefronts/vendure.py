"""The driver for Vendure shops (tested with 3.7.3): GraphQL, customers at `shop-api`, staff at `admin-api`.

Content rules: GraphQL says no with status 200, so an answer with `errors` is a failure, and so is a result
whose `__typename` is not what was asked for; a product needs a price; a listing must list something.

Tills and agents enter orders as drafts in the admin interface, with the login in the environment variables
DOORBUSTER_VENDURE_USER and DOORBUSTER_VENDURE_PASSWORD; without them, with the one of a new Vendure project.
Where that login fails, customers can shop, but there are no staff orders and no books for the audit.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from doorbuster.storefronts import vendure_queries as ask
from doorbuster.storefronts.mark import order_mark, read_mark
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

SHOP_API, ADMIN_API = "/shop-api", "/admin-api"
TOKEN_HEADER = "vendure-auth-token"  # noqa: S105  the name of the header
PAGE = 100  # Vendure's own limit for lists
LISTED = 24  # products on a page of this shop
_SEARCH_TERMS = 40
_ADDRESS = {
    "fullName": "Test Customer",
    "streetLine1": "1 Test Street",
    "city": "London",
    "postalCode": "W1A 1AA",
    "countryCode": "GB",
}


class VendureShop(Storefront):
    name = "vendure"
    _token = ""
    _payment = ""

    @classmethod
    def prepare(cls, client: Client) -> Assortment:
        found = _all_pages(client, SHOP_API, ask.ASSORTMENT, "search")
        items = sorted({item["sku"]: item for item in found}.values(), key=lambda item: str(item["sku"]))
        filled = _data(_post(client, SHOP_API, ask.FILLED_COLLECTIONS))["search"]["collections"]
        words = sorted(
            {word for item in items for word in item["productName"].lower().split() if len(word) > 3}
        )
        return Assortment(
            skus=tuple(item["sku"] for item in items),
            # Vendure tells nobody what sells; equal weights say so.
            cumulative_weights=tuple(accumulate(1.0 for _ in items)),
            search_terms=tuple(word for word in words if word.isalpha())[:_SEARCH_TERMS],
            categories=tuple(row["collection"]["slug"] for row in filled if row["count"]),
            places=tuple(f"{item['productVariantId']}/{item['slug']}" for item in items),
            staff=_sign_in(client),
        )

    @classmethod
    def read_books(cls, client: Client, *, since_unix_s: float) -> Books | None:
        token = _sign_in(client)
        if not token:
            return None
        since = datetime.fromtimestamp(since_unix_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        orders = _all_pages(client, ADMIN_API, ask.LEDGER, "orders", token=token[0], since=since)
        stock = _all_pages(client, ADMIN_API, ask.STOCK, "productVariants", token=token[0])
        return Books(
            orders=tuple(_booked(order) for order in orders if order["state"] != "Cancelled"),
            stock=_stock(stock),
        )

    @classmethod
    def cancel_order(cls, client: Client, ref: str) -> None:
        """Staff cancel the order and its delivery; Vendure then offers its goods again. A payment that was
        only authorized stays so: refunding is for whoever runs the payments.
        """
        # The session of an earlier order is in the client's cookies, unless the shop takes only bearer tokens
        answer = _post(client, ADMIN_API, ask.FIND_ORDER, code=ref)
        token = ""
        if "FORBIDDEN" in answer.text:
            token = next(iter(_sign_in(client)), "")
            if not token:
                raise Rejected("staff_login", "nobody could sign in at the admin interface")
            answer = _post(client, ADMIN_API, ask.FIND_ORDER, token, code=ref)
        found = _data(answer)["orders"]["items"]
        if not found:
            raise Rejected("order_without_reference", ref)
        if found[0]["state"] == "Cancelled":
            raise Rejected("already_cancelled", ref, by_rule=True)
        done = _order_of(_data(_post(client, ADMIN_API, ask.CANCEL, token, order=found[0]["id"])))
        if done["state"] != "Cancelled":
            raise Rejected("cannot_be_cancelled", f"{ref} is in state {done['state']}")

    # ---- browsing

    def home(self) -> Listing:
        self._shop(ask.COLLECTIONS)
        return self._listing({"take": LISTED})

    def category(self) -> Listing:
        return self._listing({"collectionSlug": self.rng.choice(self.assortment.categories), "take": LISTED})

    def search(self) -> Listing:
        return self._listing({"term": self.rng.choice(self.assortment.search_terms), "take": LISTED})

    def landing(self) -> Product:
        return self.product(self.assortment.draw_sku(self.rng))

    def product(self, sku: str) -> Product:
        slug = self.assortment.place_of(sku).partition("/")[2]
        found = self._shop(ask.PRODUCT, slug=slug)["product"]
        variants = [variant for variant in (found or {}).get("variants", ()) if variant["sku"] == sku]
        if not variants or not variants[0].get("priceWithTax"):
            raise Rejected("product_without_price", f"{slug}: {variants or found}"[:200])
        available = variants[0]["stockLevel"] != "OUT_OF_STOCK"
        return Product(sku=sku, price_pence=variants[0]["priceWithTax"], available=available)

    # ---- basket and order in the browser

    def add_to_basket(self, sku: str) -> None:
        variant = self.assortment.place_of(sku).partition("/")[0]
        self._change(ask.ADD_ITEM, variant=variant, quantity=1)

    def basket(self) -> None:
        order = self._shop(ask.BASKET)["activeOrder"]
        if not order or not order["lines"]:
            raise Rejected("empty_basket")

    def checkout_page(self) -> None:
        """Name, address, delivery, up to the payment page. Here Vendure looks whether there is enough stock;
        it keeps none for the customer.
        """
        self._change(ask.SET_CUSTOMER, customer=self._customer())
        self._change(ask.SET_ADDRESS, address=_ADDRESS)
        shipping = self._choices("eligibleShippingMethods")
        self._change(ask.SET_SHIPPING, shipping=[shipping[0]["id"]])
        self._change(ask.TO_PAYMENT)
        self._payment = self._choices("eligiblePaymentMethods")[0]["code"]

    def checkout(self, key: str, lines: tuple[Line, ...]) -> Order:  # noqa: ARG002  the basket has the lines
        if not self._payment:
            raise Rejected("checkout_without_choice", "nobody went through the checkout page")
        self._change(ask.SET_ADDRESS, address=self._address(key))
        return _placed(self._change(ask.PAY, payment={"method": self._payment, "metadata": {}}))

    # ---- tills and telephone

    def till_sale(self, key: str, lines: tuple[Line, ...]) -> Order:
        return self._draft_order(key, lines)

    def phone_order(self, key: str, lines: tuple[Line, ...]) -> Order:
        return self._draft_order(key, lines)

    def order_status(self, ref: str) -> None:
        """The page behind the link in the confirmation."""
        order = self._shop(ask.ORDER_BY_CODE, code=ref)["orderByCode"]
        if not order or order["code"] != ref:
            raise Rejected("order_without_reference", ref)

    def look_up_order(self, ref: str) -> None:
        """An agent answers "where is my order?"."""
        if not self._staff(ask.FIND_ORDER, code=ref)["orders"]["items"]:
            raise Rejected("order_without_reference", ref)

    # ---- how this shop is spoken to, and how it says no

    def _shop(self, query: str, **variables: Any) -> dict[str, Any]:
        response = _post(self.client, SHOP_API, query, token=self._token, **variables)
        self._token = response.headers.get(TOKEN_HEADER) or self._token
        return _data(response)

    def _change(self, query: str, **variables: Any) -> dict[str, Any]:
        return _order_of(self._shop(query, **variables))

    def _staff(self, query: str, **variables: Any) -> dict[str, Any]:
        if not self.assortment.staff:
            raise Rejected("staff_login", "nobody could sign in at the admin interface before the run")
        return _data(_post(self.client, ADMIN_API, query, token=self.assortment.staff[0], **variables))

    def _choices(self, field: str) -> list[dict[str, Any]]:
        offered: list[dict[str, Any]] = self._shop(ask.CHECKOUT_CHOICES[field])[field]
        if not offered:
            raise Rejected("checkout_without_choice", field)
        return offered

    def _listing(self, search: dict[str, Any]) -> Listing:
        items = self._shop(ask.SEARCH, input={"groupByProduct": True, **search})["search"]["items"]
        if not items:
            raise Rejected("empty_listing", str(search))
        return Listing(tuple(dict.fromkeys(item["sku"] for item in items)))

    def _draft_order(self, key: str, lines: tuple[Line, ...]) -> Order:
        """An order that staff enter: the eight calls that the admin interface makes."""
        order = _order_of(self._staff(ask.DRAFT))["id"]
        for line in lines:
            variant = self.assortment.place_of(line.sku).partition("/")[0]
            item = {"productVariantId": variant, "quantity": line.quantity}
            _order_of(self._staff(ask.DRAFT_ITEM, order=order, item=item))
        _order_of(self._staff(ask.DRAFT_CUSTOMER, order=order, customer=self._customer()))
        _order_of(self._staff(ask.DRAFT_ADDRESS, order=order, address=self._address(key)))
        methods = self._staff(ask.DRAFT_CHOICES, order=order)
        shipping, payment = (
            methods["eligibleShippingMethodsForDraftOrder"],
            methods["paymentMethods"]["items"],
        )
        if not shipping or not payment:
            raise Rejected("checkout_without_choice")
        _order_of(self._staff(ask.DRAFT_SHIPPING, order=order, shipping=shipping[0]["id"]))
        _order_of(self._staff(ask.DRAFT_TO_PAYMENT, order=order))
        paid = {"orderId": order, "method": payment[0]["code"], "transactionId": key, "metadata": {}}
        return _placed(_order_of(self._staff(ask.DRAFT_PAY, payment=paid)))

    def _customer(self) -> dict[str, str]:
        """Somebody new, as most customers of a peak are: a shared address would be one busy row."""
        mail = f"test.customer.{self.rng.randrange(10**9)}@example.com"
        return {"firstName": "Test", "lastName": "Customer", "emailAddress": mail}

    def _address(self, key: str) -> dict[str, str]:
        return {**_ADDRESS, "company": order_mark(self.channel, key)}


def _post(client: Client, api: str, query: str, token: str = "", **variables: Any) -> Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.request("POST", api, json={"query": query, "variables": variables}, headers=headers)


def _data(response: Response) -> dict[str, Any]:
    """The answer's data, or `Rejected`; GraphQL answers a broken query with 4xx and says why in the body."""
    if response.cause:
        raise Rejected(response.cause, response.text[:200] if response.status_code else "")
    try:
        answer = response.json()
    except ValueError as error:
        raise Rejected("unexpected_json", response.text[:200]) from error
    if not isinstance(answer, dict) or answer.get("errors") or not isinstance(answer.get("data"), dict):
        errors = answer.get("errors") if isinstance(answer, dict) else None
        raise Rejected("graphql_error", str(errors[0].get("message") if errors else answer)[:200])
    data: dict[str, Any] = answer["data"]
    return data


def _order_of(data: dict[str, Any]) -> dict[str, Any]:
    """The order that a mutation returns, or `Rejected` with the name of the error in its place."""
    result: dict[str, Any] = next(iter(data.values())) or {}
    kind = result.get("__typename", "nothing")
    if kind == "Order":
        return result
    said = f"{kind}: {result.get('transitionError') or result.get('message') or ''}"
    if kind == "InsufficientStockError" or "insufficient stock" in said.lower():
        raise Rejected("sold_out", said, by_rule=True)
    raise Rejected(_cause(kind), said)


def _cause(kind: str) -> str:
    """A GraphQL type such as PaymentDeclinedError as a cause: payment_declined."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return words.strip("_").removesuffix("_error") or "refused"


def _placed(order: dict[str, Any]) -> Order:
    if order["state"] not in ("PaymentAuthorized", "PaymentSettled"):
        raise Rejected("order_not_paid", f"{order['code']} is in state {order['state']}")
    return Order(ref=order["code"], total_pence=order["totalWithTax"], lines=_lines(order))


def _lines(order: dict[str, Any]) -> tuple[Line, ...]:
    return tuple(
        Line(line["productVariant"]["sku"], line["quantity"], line["unitPriceWithTax"])
        for line in order["lines"]
    )


def _booked(order: dict[str, Any]) -> BookedOrder:
    mark = read_mark((order["shippingAddress"] or {}).get("company"))
    return BookedOrder(
        ref=order["code"],
        idempotency_key=mark.key,
        channel=mark.channel,
        total_pence=order["totalWithTax"],
        placed_at_unix_s=datetime.fromisoformat(order["orderPlacedAt"]).timestamp(),
        picked_at_unix_s=None,
        lines=_lines(order),
    )


def _stock(variants: list[dict[str, Any]]) -> tuple[StockRow, ...]:
    """Stock per SKU; Vendure allows several variants with one SKU, and an order line does not say which.

    What is allocated is promised to somebody: it is on the shelf, but no longer for sale.
    """
    shelf: Counter[str] = Counter()
    promised: Counter[str] = Counter()
    for row in variants:
        shelf[row["sku"]] += row["stockOnHand"]
        promised[row["sku"]] += row["stockAllocated"]
    return tuple(StockRow(sku, units, units - promised[sku], promised[sku]) for sku, units in shelf.items())


def _sign_in(client: Client) -> tuple[str, ...]:
    """A staff session's token, or nothing where the login is not ours."""
    user = os.environ.get("DOORBUSTER_VENDURE_USER", "superadmin")
    password = os.environ.get("DOORBUSTER_VENDURE_PASSWORD", "superadmin")
    response = _post(client, ADMIN_API, ask.SIGN_IN, user=user, password=password)
    if response.status_code in (401, 403, 404):
        return ()  # the shop keeps its admin interface elsewhere
    if _data(response)["login"]["__typename"] != "CurrentUser":
        return ()
    token = response.headers.get(TOKEN_HEADER)
    return (token,) if token else ()


def _all_pages(client: Client, api: str, query: str, field: str, **variables: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = _data(_post(client, api, query, skip=len(items), take=PAGE, **variables))[field]
        items.extend(page["items"])
        if not page["items"] or len(items) >= page["totalItems"]:
            return items
