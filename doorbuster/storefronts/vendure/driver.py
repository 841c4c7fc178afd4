"""The driver for Vendure shops (tested with 3.7.3): GraphQL, customers at `shop-api`, staff at `admin-api`.

Content rules: GraphQL reports errors with status 200, so a response with `errors` is a failure, and so is a
result whose `__typename` is not the expected one; a product needs a price; a listing must not be empty.

Tills, agents and partners enter orders as drafts in the admin interface (see `vendure_staff` for the login).
If that login fails, customers can shop, but there are no staff orders and no ledger for the audit.

Accounts are created when needed, which works if the shop does not verify e-mail addresses first. Vendure has
no reviews, and it sends new passwords by mail.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from doorbuster.storefronts.accounts import PASSWORD, account_email, new_email
from doorbuster.storefronts.base import (
    Basket,
    BasketLine,
    Catalogue,
    LedgerSnapshot,
    Listing,
    Order,
    Product,
    Rejected,
    Storefront,
)
from doorbuster.storefronts.http import Client
from doorbuster.storefronts.order_tag import order_tag
from doorbuster.storefronts.vendure import queries as ask
from doorbuster.storefronts.vendure import staff as vendure_staff
from doorbuster.storefronts.vendure.graphql import (
    ADMIN_API,
    PAGE,
    SHOP_API,
    TOKEN_HEADER,
    all_pages,
    parse_data,
    parse_order,
    post,
    refusal_cause,
)

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
    shared_baskets = ("web", "app", "print", "social")
    _token = ""
    _payment = ""
    _signed_in = False
    _feed_position = 0

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        found = all_pages(client, SHOP_API, ask.CATALOGUE, "search")
        items = sorted({item["sku"]: item for item in found}.values(), key=lambda item: str(item["sku"]))
        filled = parse_data(post(client, SHOP_API, ask.FILLED_COLLECTIONS))["search"]["collections"]
        words = sorted(
            {word for item in items for word in item["productName"].lower().split() if len(word) > 3}
        )
        return Catalogue(
            skus=tuple(item["sku"] for item in items),
            # Vendure does not publish sales figures, so all products have the same weight.
            cumulative_weights=tuple(accumulate(1.0 for _ in items)),
            search_terms=tuple(word for word in words if word.isalpha())[:_SEARCH_TERMS],
            categories=tuple(row["collection"]["slug"] for row in filled if row["count"]),
            places=tuple(f"{item['productVariantId']}/{item['slug']}" for item in items),
            staff=vendure_staff.sign_in(client),
        )

    @classmethod
    def read_ledger(cls, client: Client, *, since_unix_s: float) -> LedgerSnapshot | None:
        return vendure_staff.read_ledger(client, since_unix_s=since_unix_s)

    @classmethod
    def cancel_order(cls, client: Client, ref: str) -> None:
        vendure_staff.cancel_order(client, ref)

    @classmethod
    def change_price(cls, client: Client, sku: str, pence: int) -> int:
        return vendure_staff.change_price(client, sku, pence)

    @classmethod
    def stock_on_hand(cls, client: Client, sku: str) -> int:
        return int(vendure_staff.find_variant(client, sku)["stockOnHand"])

    @classmethod
    def change_stock(cls, client: Client, sku: str, on_hand: int) -> None:
        vendure_staff.change_stock(client, sku, on_hand)

    # ---- browsing

    def home(self) -> Listing:
        self._shop(ask.COLLECTIONS)
        return self._listing({"take": LISTED})

    def category(self) -> Listing:
        return self._listing({"collectionSlug": self.rng.choice(self.catalogue.categories), "take": LISTED})

    def search(self) -> Listing:
        return self._listing({"term": self.rng.choice(self.catalogue.search_terms), "take": LISTED})

    def landing(self) -> Product:
        return self.product(self.catalogue.draw_sku(self.rng))

    def product(self, sku: str) -> Product:
        slug = self.catalogue.place_of(sku).partition("/")[2]
        found = self._shop(ask.PRODUCT, slug=slug)["product"]
        variants = [variant for variant in (found or {}).get("variants", ()) if variant["sku"] == sku]
        if not variants or not variants[0].get("priceWithTax"):
            raise Rejected("product_without_price", f"{slug}: {variants or found}"[:200])
        available = variants[0]["stockLevel"] != "OUT_OF_STOCK"
        return Product(sku=sku, price_pence=variants[0]["priceWithTax"], available=available)

    # ---- basket and order in the browser

    def add_to_basket(self, sku: str) -> None:
        variant = self.catalogue.place_of(sku).partition("/")[0]
        self._change(ask.ADD_ITEM, variant=variant, quantity=1)

    def basket(self) -> Basket:
        order = self._shop(ask.BASKET)["activeOrder"]
        if not order or not order["lines"]:
            raise Rejected("empty_basket")
        return Basket({line["productVariant"]["sku"]: line["quantity"] for line in order["lines"]})

    def checkout_page(self) -> None:
        """Name, address and delivery, up to the payment page.

        Vendure checks the stock here, but does not reserve any.
        """
        if not self._signed_in:
            self._change(ask.SET_CUSTOMER, customer=self._customer())
        self._change(ask.SET_ADDRESS, address=_ADDRESS)
        shipping = self._choices("eligibleShippingMethods")
        self._change(ask.SET_SHIPPING, shipping=[shipping[0]["id"]])
        self._change(ask.TO_PAYMENT)
        self._payment = self._choices("eligiblePaymentMethods")[0]["code"]

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:  # noqa: ARG002  the basket has the lines
        if not self._payment:
            raise Rejected("checkout_without_choice", "checkout_page must come first")
        self._change(ask.SET_ADDRESS, address=self._address(key))
        return _placed(self._change(ask.PAY, payment={"method": self._payment, "metadata": {}}))

    # ---- account

    def sign_in(self) -> None:
        """Sign in, registering first if need be; the guest's basket is merged into the account's."""
        email = account_email(self.visit)
        try:
            self._log_in(email)
        except Rejected as refusal:
            if refusal.cause != "invalid_credentials":
                raise
            self._register_account(email)

    def register(self) -> None:
        self._register_account(new_email(self.visit, self.rng))

    def _register_account(self, email: str) -> None:
        person = {**self._customer(), "emailAddress": email, "password": PASSWORD}
        made = self._shop(ask.REGISTER, person=person)["registerCustomerAccount"]
        if made["__typename"] != "Success":
            raise Rejected(refusal_cause(made["__typename"]), str(made.get("message")))
        self._log_in(email)

    def _log_in(self, email: str) -> None:
        who = self._shop(ask.SIGN_IN, user=email, password=PASSWORD)["login"]
        if who["__typename"] != "CurrentUser":
            raise Rejected(refusal_cause(who["__typename"]), str(who.get("message")))
        self._signed_in = True

    # ---- tills, call centre, partners

    def pos_sale(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._draft_order(key, lines)

    def phone_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._draft_order(key, lines)

    def partner_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._draft_order(key, lines)

    def feed(self) -> Listing:
        """The next page of the product list; starts again after the last one."""
        page = self._staff(ask.FEED, skip=self._feed_position, take=PAGE)["productVariants"]
        if not page["items"] or not all(item["priceWithTax"] for item in page["items"]):
            raise Rejected("product_without_price", str(page["items"])[:200])
        self._feed_position += len(page["items"])
        if self._feed_position >= page["totalItems"]:
            self._feed_position = 0
        return Listing(tuple(dict.fromkeys(item["sku"] for item in page["items"])))

    def order_status(self, ref: str) -> None:
        """The page that the confirmation mail links to."""
        order = self._shop(ask.ORDER_BY_CODE, code=ref)["orderByCode"]
        if not order or order["code"] != ref:
            raise Rejected("order_without_reference", ref)

    def look_up_order(self, ref: str) -> None:
        """An agent looks up an order by its reference."""
        if not self._staff(ask.FIND_ORDER, code=ref)["orders"]["items"]:
            raise Rejected("order_without_reference", ref)

    # ---- requests

    def _shop(self, query: str, **variables: Any) -> dict[str, Any]:
        response = post(self.client, SHOP_API, query, token=self._token, **variables)
        self._token = response.headers.get(TOKEN_HEADER) or self._token
        return parse_data(response)

    def _change(self, query: str, **variables: Any) -> dict[str, Any]:
        return parse_order(self._shop(query, **variables))

    def _staff(self, query: str, **variables: Any) -> dict[str, Any]:
        if not self.catalogue.staff:
            raise Rejected(
                "staff_login", "the admin login failed before the run; set DOORBUSTER_VENDURE_USER"
            )
        return parse_data(post(self.client, ADMIN_API, query, token=self.catalogue.staff[0], **variables))

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

    def _draft_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        """An order entered by staff: the eight calls that the admin interface makes."""
        order = parse_order(self._staff(ask.DRAFT))["id"]
        for line in lines:
            variant = self.catalogue.place_of(line.sku).partition("/")[0]
            item = {"productVariantId": variant, "quantity": line.quantity}
            parse_order(self._staff(ask.DRAFT_ITEM, order=order, item=item))
        parse_order(self._staff(ask.DRAFT_CUSTOMER, order=order, customer=self._customer()))
        parse_order(self._staff(ask.DRAFT_ADDRESS, order=order, address=self._address(key)))
        methods = self._staff(ask.DRAFT_CHOICES, order=order)
        shipping, payment = (
            methods["eligibleShippingMethodsForDraftOrder"],
            methods["paymentMethods"]["items"],
        )
        if not shipping or not payment:
            raise Rejected("checkout_without_choice")
        parse_order(self._staff(ask.DRAFT_SHIPPING, order=order, shipping=shipping[0]["id"]))
        parse_order(self._staff(ask.DRAFT_TO_PAYMENT, order=order))
        paid = {"orderId": order, "method": payment[0]["code"], "transactionId": key, "metadata": {}}
        return _placed(parse_order(self._staff(ask.DRAFT_PAY, payment=paid)))

    def _customer(self) -> dict[str, str]:
        """A new customer, as most are at a peak; a shared e-mail address would be one contended row."""
        mail = f"test.customer.{self.rng.randrange(10**9)}@example.com"
        return {"firstName": "Test", "lastName": "Customer", "emailAddress": mail}

    def _address(self, key: str) -> dict[str, str]:
        return {**_ADDRESS, "company": order_tag(self.channel, key)}


def _placed(order: dict[str, Any]) -> Order:
    if order["state"] not in ("PaymentAuthorized", "PaymentSettled"):
        raise Rejected("order_not_paid", f"{order['code']} is in state {order['state']}")
    lines = vendure_staff.parse_lines(order)
    return Order(ref=order["code"], total_pence=order["totalWithTax"], lines=lines)
