"""The driver for django-oscar shops (tested with 4.2.1 and django-oscar-api 3.3.0).

Customers browse HTML pages; basket and checkout use the REST API, as an app or a till would. SKUs are the
products' UPCs. Oscar has no tills and no call centre, so their orders use the same API.

Content rules: 406 is an expected refusal (not enough stock); a listing must not be empty; a product page must
show its UPC and a price; the response to a checkout must have an order number.

Ledger: oscar has no API that returns recent orders with their lines, so the shop needs a small read-only
view (`tests/real_shops/oscar/ledger.py` in this repository); DOORBUSTER_LEDGER_TOKEN authorises access.
Without it the order audit is skipped. A guest's order page is reachable only through the signed link in the
confirmation mail; the same view returns that link for test customers.

Staff look up and cancel orders, and change prices and stock, in oscar's dashboard: see `oscar_staff`. Oscar
has no returns, and it sends new passwords by mail.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from doorbuster.storefronts.accounts import PASSWORD, account_email, new_email
from doorbuster.storefronts.base import (
    Basket,
    BasketLine,
    BookedOrder,
    Catalogue,
    LedgerSnapshot,
    Listing,
    Order,
    Product,
    Rejected,
    StockRow,
    Storefront,
    checked,
)
from doorbuster.storefronts.http import Client, HttpResponse
from doorbuster.storefronts.order_tag import order_tag, read_order_tag
from doorbuster.storefronts.oscar import staff as oscar_staff

_PRODUCT_LINK = re.compile(r'href="/(?:[a-z]{2}(?:-[a-z]{2})?/)?catalogue/[\w-]+_(\d+)/"')
_CATEGORY_LINK = re.compile(r'href="(/(?:[a-z]{2}(?:-[a-z]{2})?/)?catalogue/category/[\w/-]+_\d+/)"')
_UPC = re.compile(r"<th>UPC</th>\s*<td>([^<]+)</td>")
_PRICE = re.compile(r'class="price_color">\D*([\d.,\u00a0 ]*\d)')
_STOCK = re.compile(
    r'class="(instock|outofstock|unavailable)\b'
)  # the product's own first, then those recently viewed
_CSRF_COOKIE = re.compile(r"\bcsrftoken=([^;,\s]+)")
_SEARCH_TERMS = 40


class OscarShop(Storefront):
    name = "oscar"
    shared_baskets = ("web", "app", "print", "social")
    _signed_in = False
    _csrf_headers: Mapping[str, str] = MappingProxyType(
        {}
    )  # headers that Django requires of signed-in customers

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        products = sorted(_json(client.request("GET", "/api/products/")), key=_parse_sku)
        page = checked(client.request("GET", "/catalogue/")).text
        words = sorted({word for row in products for word in row["title"].lower().split() if len(word) > 3})
        return Catalogue(
            skus=tuple(_parse_sku(row) for row in products),
            # Oscar does not publish sales figures, so all products have the same weight.
            cumulative_weights=tuple(accumulate(1.0 for _ in products)),
            search_terms=tuple(word for word in words if word.isalpha())[:_SEARCH_TERMS],
            categories=tuple(dict.fromkeys(_CATEGORY_LINK.findall(page))),
            places=tuple(f"{_slug(row['title'])}_{row['id']}" for row in products),
            staff=oscar_staff.sign_in(client),
        )

    @classmethod
    def read_ledger(cls, client: Client, *, since_unix_s: float) -> LedgerSnapshot | None:
        token = {"X-Ledger-Token": os.environ.get("DOORBUSTER_LEDGER_TOKEN", "")}
        answer = client.request("GET", f"/ledger/orders/?since={since_unix_s:.3f}", headers=token)
        if answer.status_code == 404:
            return None  # the shop has no such view, or the token is wrong
        stock = _json(client.request("GET", "/ledger/stock/", headers=token))["stock"]
        return LedgerSnapshot(
            orders=tuple(
                _booked(row) for row in _json(answer)["orders"] if not oscar_staff.is_cancelled(row["status"])
            ),
            # Allocated units are on the shelf, but no longer for sale.
            stock=tuple(
                StockRow(row["sku"], row["in_stock"], row["in_stock"] - row["allocated"], row["allocated"])
                for row in stock
            ),
        )

    @classmethod
    def cancel_order(cls, client: Client, ref: str) -> None:
        oscar_staff.cancel_order(client, ref)

    @classmethod
    def change_price(cls, client: Client, sku: str, pence: int) -> None:
        oscar_staff.change_stock_record(client, sku, "price", f"{pence / 100:.2f}")

    @classmethod
    def stock_on_hand(cls, client: Client, sku: str) -> int:
        return int(oscar_staff.stock_record(client, sku)["num_in_stock"])

    @classmethod
    def change_stock(cls, client: Client, sku: str, on_hand: int) -> None:
        oscar_staff.change_stock_record(client, sku, "num_in_stock", str(on_hand))

    # ---- browsing

    def home(self) -> Listing:
        return self._listing("/")

    def category(self) -> Listing:
        return self._listing(self.rng.choice(self.catalogue.categories))

    def search(self) -> Listing:
        return self._listing(f"/search/?q={self.rng.choice(self.catalogue.search_terms)}")

    def landing(self) -> Product:
        return self.product(self.catalogue.draw_sku(self.rng))

    def product(self, sku: str) -> Product:
        page = self.fetch("GET", f"/catalogue/{self.catalogue.place_of(sku)}/").text
        upc, price = _UPC.search(page), _PRICE.search(page)
        if price is None or (upc is not None and upc[1].strip() != sku):
            raise Rejected("product_without_price", page[:200])
        stock = _STOCK.search(page)
        available = stock is not None and stock[1] == "instock"
        return Product(sku=sku, price_pence=_pence(price[1]), available=available)

    def reviews(self, sku: str) -> None:
        """All reviews of a product; having none is not a failure."""
        page = self.fetch("GET", f"/catalogue/{self.catalogue.place_of(sku)}/reviews/").text
        if "/reviews/" not in page:
            raise Rejected("page_without_reviews", page[:200])

    def write_review(self, sku: str) -> None:
        """Fetch the form and send it; guests may write any number of reviews."""
        form = self.fetch("GET", f"/catalogue/{self.catalogue.place_of(sku)}/reviews/add/")
        review = {
            "title": "A test review",
            "score": str(self.rng.randint(1, 5)),
            "body": "Written by a load test.",
            "name": "Test Customer",
            "email": self._mail(),
        }
        page = checked(oscar_staff.submit(self.client, form, review))
        if page.url.endswith("/reviews/add/"):
            raise Rejected("review_not_taken", page.text[:200])

    # ---- basket and order

    def add_to_basket(self, sku: str) -> None:
        self._add(sku, 1)

    def basket(self) -> Basket:
        """The basket's total and its lines."""
        basket = self._api("GET", "/api/basket/")
        if float(basket["total_incl_tax"]) <= 0:
            raise Rejected("empty_basket")
        skus = _skus_by_number(self.catalogue.skus, self.catalogue.places)
        units: Counter[str] = Counter()
        for line in _json(self.client.request("GET", basket["lines"])):
            units[skus.get(_number(line["product"]), "")] += line["quantity"]
        return Basket(dict(units))

    def checkout_page(self) -> None:
        if not _json(self.client.request("GET", "/api/basket/shipping-methods/")):
            raise Rejected("checkout_without_choice")

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        basket = self._api("GET", "/api/basket/")
        answer = self._api(
            "POST",
            "/api/checkout/",
            json={
                "basket": basket["url"],
                **({} if self._signed_in else {"guest_email": self._mail()}),
                "shipping_address": {
                    **_ADDRESS,
                    "country": "/api/countries/GB/",
                    "notes": order_tag(self.channel, key),
                },
            },
        )
        if not answer.get("number"):
            raise Rejected("order_without_reference", str(answer)[:200])
        return Order(ref=answer["number"], total_pence=_pence(answer["total_incl_tax"]), lines=lines)

    def order_status(self, ref: str) -> None:
        """The account's order page, or for guests the page linked in the mail, which asks for the address."""
        if self._signed_in:
            page = self.client.request("GET", f"/accounts/orders/{ref}/")
            if page.status_code != 404:
                _has_order(page, ref)
                return
        token = {"X-Ledger-Token": os.environ.get("DOORBUSTER_LEDGER_TOKEN", "")}
        answer = self.client.request("GET", f"/ledger/mail/{ref}/", headers=token)
        if answer.status_code == 404:
            raise Rejected("order_without_reference", f"{ref}: no confirmation is known")
        mail = _json(answer)
        page = checked(
            oscar_staff.submit(self.client, self.fetch("GET", mail["link"]), {"email": mail["to"]})
        )
        _has_order(page, ref)

    # ---- account

    def sign_in(self) -> None:
        """Sign in, registering first if need be; the guest's basket is merged into the account's."""
        who = {"username": account_email(self.visit), "password": PASSWORD}
        answer = self.client.request("POST", "/api/login/", json=who)
        if answer.status_code == 401:
            self._register_account(account_email(self.visit))
        else:
            self._set_signed_in(checked(answer))

    def register(self) -> None:
        self._register_account(new_email(self.visit, self.rng))

    def _register_account(self, email: str) -> None:
        """Register on the account page, which also signs in."""
        page = self.fetch("GET", "/accounts/register/")
        fields = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
        answer = oscar_staff.submit(self.client, page, fields, allow_redirects=False)
        if not 300 <= answer.status_code < 400:
            raise Rejected("account_not_made", checked(answer).text[:200])
        self._set_signed_in(answer)
        self.fetch("GET", answer.headers["location"])  # the page that merges the guest's basket

    def _set_signed_in(self, answer: HttpResponse) -> None:
        """From now on every change must send the token of this session."""
        token = _CSRF_COOKIE.search(answer.headers.get("set-cookie", ""))
        if token is None:
            raise Rejected("not_signed_in", "the shop gave no csrftoken")
        # Over https, Django also checks the referrer.
        self._csrf_headers, self._signed_in = {"X-CSRFToken": token[1], "Referer": answer.url}, True

    # ---- tills, call centre, partners

    def pos_sale(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._order_for_customer(key, lines)

    def phone_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._order_for_customer(key, lines)

    def partner_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._order_for_customer(key, lines)

    def feed(self) -> Listing:
        """All products: oscar's API returns them in one response."""
        products = _json(self.client.request("GET", "/api/products/"))
        if not products:
            raise Rejected("empty_listing", "/api/products/")
        return Listing(tuple(_parse_sku(row) for row in products))

    def look_up_order(self, ref: str) -> None:
        """An agent looks up an order by its reference."""
        if not self.catalogue.staff:
            raise Rejected(
                "staff_login", "the dashboard login failed before the run; set DOORBUSTER_OSCAR_USER"
            )
        oscar_staff.order_page(self.client, ref, self.catalogue.staff)

    # ---- requests

    def _order_for_customer(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        """Fill a basket and check it out, in one step, because one customer waits for both."""
        for line in lines:
            self._add(line.sku, line.quantity)
        return self.checkout(key, lines)

    def _mail(self) -> str:
        """The address of a new customer, as most are at a peak."""
        return f"test.customer.{self.rng.randrange(10**9)}@example.com"

    def _add(self, sku: str, quantity: int) -> None:
        number = self.catalogue.place_of(sku).rpartition("_")[2]
        url = f"/api/products/{number}/"
        basket = self._api("POST", "/api/basket/add-product/", json={"url": url, "quantity": quantity})
        if float(basket["total_incl_tax"]) <= 0:
            raise Rejected("empty_basket", str(basket)[:200])

    def _listing(self, url: str) -> Listing:
        page = self.fetch("GET", url).text
        skus = _skus_by_number(self.catalogue.skus, self.catalogue.places)
        numbers = dict.fromkeys(_PRODUCT_LINK.findall(page))
        listed = tuple(skus[number] for number in numbers if number in skus)
        if not listed:
            raise Rejected("empty_listing", page[:200])
        return Listing(listed)

    def _api(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        answer = _json(self.client.request(method, url, headers=dict(self._csrf_headers), **options))
        if not isinstance(answer, dict):
            raise Rejected("unexpected_content", str(answer)[:200])
        return answer


def _has_order(page: HttpResponse, ref: str) -> None:
    if f"#{ref}" not in checked(page).text:
        raise Rejected("order_without_reference", page.text[:200])


def _number(url: str) -> str:
    """The product number at the end of its REST URL."""
    return url.rstrip("/").rpartition("/")[2]


_ADDRESS = {
    "first_name": "Test",
    "last_name": "Customer",
    "line1": "1 Test Street",
    "line4": "London",
    "postcode": "W1A 1AA",
}


@lru_cache(maxsize=4)
def _skus_by_number(skus: tuple[str, ...], places: tuple[str, ...]) -> Mapping[str, str]:
    """SKU by product number; pages link to products by number."""
    return {place.rpartition("_")[2]: sku for sku, place in zip(skus, places, strict=True)}


def _json(response: HttpResponse) -> Any:
    if response.status_code == 406:
        raise Rejected("sold_out", response.text[:200], expected=True)
    try:
        return checked(response).json()
    except ValueError as error:
        raise Rejected("unexpected_content", response.text[:200]) from error


def _parse_sku(row: dict[str, Any]) -> str:
    return str(row["upc"] or row["id"])


def _slug(title: str) -> str:
    """The product's name as in oscar's URLs; oscar redirects from a wrong one to the right one."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-_")


def _pence(text: str) -> int:
    """ "1,018.99" or "18.99" in hundredths; the last separator before two digits is the decimal one."""
    digits = re.sub(r"\D", "", text)
    return int(digits) if re.search(r"[.,]\d\d$", text) else int(digits) * 100


def _booked(row: dict[str, Any]) -> BookedOrder:
    tag = read_order_tag(row["notes"])
    return BookedOrder(
        ref=row["number"],
        idempotency_key=tag.key,
        channel=tag.channel,
        total_pence=_pence(row["total"]),
        placed_at_unix_s=row["placed_at"],
        picked_at_unix_s=None,
        lines=tuple(
            BasketLine(line["sku"], line["quantity"], _pence(line["unit_price"])) for line in row["lines"]
        ),
    )
