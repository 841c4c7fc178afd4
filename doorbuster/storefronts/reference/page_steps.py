"""Steps of the reference shop through its HTML pages and forms, as browsers use it.

Content rules: a product page shows its SKU and a price, a listing shows products, an order page has the order
reference, and signing in leads to the account page.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from doorbuster.shop_settings import MEMBER, OLD_MEMBER, OPENING_PASSWORD
from doorbuster.storefronts.accounts import new_email
from doorbuster.storefronts.base import Basket, BasketLine, Listing, Order, Product, Rejected, checked
from doorbuster.storefronts.http import HttpResponse
from doorbuster.storefronts.reference.base import (
    NEW_PASSWORD,
    ReferenceBase,
    parse_problem,
)

_PRODUCT_LINK = re.compile(r'href="/product/([A-Za-z0-9-]+)"')
_SKU = re.compile(r'data-sku="([A-Za-z0-9-]+)"')
_OFFER = re.compile(r'"price":\s*"?(\d+(?:\.\d+)?)"?.*?"availability":\s*"[^"]*/(\w+)"', re.DOTALL)
_BASKET_LINE = re.compile(r'<tr data-sku="([^"]+)" data-quantity="(\d+)"')
_KEY_FIELD = re.compile(r'name="idempotency_key"')
_ORDER = re.compile(r'data-order-ref="([^"]+)"\s+data-total-pence="(\d+)"')
_STATE = re.compile(r'data-state="(\w+)"')
_CODE = re.compile(r'name="code" value="([^"]+)"')
_QUESTION = re.compile(r'data-question="(\d+)"')


class PageSteps(ReferenceBase):
    # ---- browsing

    def home(self) -> Listing:
        return self._listing("/")

    def category(self) -> Listing:
        return self._listing(f"/category/{self.rng.choice(self.catalogue.categories)}")

    def search(self) -> Listing:
        return self._listing(f"/search?q={self.rng.choice(self.catalogue.search_terms)}")

    def landing(self) -> Product:
        """A printed QR code leads to one product."""
        return self._product(f"/q/{self.catalogue.draw_sku(self.rng)}")

    def product(self, sku: str) -> Product:
        return self._product(f"/product/{sku}")

    def recommendations(self, sku: str) -> None:
        """The product page loads its recommendations with a request of its own."""
        if not self._json("GET", f"/api/products/{sku}/recommendations")["products"]:
            raise Rejected("empty_listing")

    # ---- basket and order

    def add_to_basket(self, sku: str) -> None:
        self._page("POST", "/basket/add", data={"sku": sku, "quantity": "1"})

    def basket(self) -> Basket:
        page = self._page("GET", "/basket").text
        return Basket({sku: int(units) for sku, units in _BASKET_LINE.findall(page)})

    def checkout_page(self) -> None:
        page = self._page("GET", "/checkout")
        if not _KEY_FIELD.search(page.text):
            raise Rejected("checkout_without_form", page.text[:200])

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self._ordered({"idempotency_key": key}, lines)

    def collect_checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        """Order the basket for collection in a store."""
        return self._ordered({"idempotency_key": key, "store": self._store}, lines)

    def order_status(self, ref: str) -> None:
        _order_on(self._page("GET", f"/order/{ref}"))

    def return_items(self, ref: str) -> None:
        page = self._page("POST", f"/order/{ref}/return")
        state = _STATE.search(page.text)
        if state is None or state[1] != "returned":
            raise Rejected("not_returned", page.text[:200])

    # ---- account

    def sign_in(self) -> None:
        """Sign in with one of the opening accounts."""
        self._signed_in("/sign-in", email=self._member(MEMBER), password=OPENING_PASSWORD)

    def register(self) -> None:
        self._signed_in(
            "/register", name="Test Customer", email=new_email(self.visit, self.rng), password=NEW_PASSWORD
        )

    def reset_password(self) -> None:
        """Fail with the expired password, request a reset code and set a new password."""
        email = self._member(OLD_MEMBER)
        old = self._send("POST", "/sign-in", data={"email": email, "password": OPENING_PASSWORD})
        if parse_problem(old) not in (
            "password-expired",
            "wrong-password",
        ):  # the latter: this account was reset before
            checked(old)
        mailed = _CODE.search(self._page("POST", "/reset-password", data={"email": email}).text)
        if mailed is None:
            raise Rejected("reset_without_link")
        self._signed_in("/new-password", code=mailed[1], password=NEW_PASSWORD)

    # ---- reviews and questions

    def reviews(self, sku: str) -> None:
        """The product page loads all reviews on demand."""
        if not self._json("GET", f"/api/products/{sku}/reviews")["reviews"]:
            raise Rejected("no_reviews")

    def write_review(self, sku: str) -> None:
        stars = str(self.rng.choice((5, 5, 4, 4, 3, 2, 1)))
        review = {
            "author": "Test Customer",
            "rating": stars,
            "title": self._words(2),
            "text": self._words(20),
        }
        self._page("POST", f"/product/{sku}/reviews", data=review)

    def ask(self, sku: str) -> str:
        question = {"author": "Test Customer", "text": f"{self._words(8)}?"}
        page = self._page("POST", f"/product/{sku}/questions", data=question)
        numbers = parse_qs(urlsplit(page.url).query).get("question", [])
        if not numbers or f'id="question-{numbers[0]}"' not in page.text:
            raise Rejected("question_without_number", page.url)
        return numbers[0]

    def open_questions(self) -> tuple[str, ...]:
        return tuple(_QUESTION.findall(self._page("GET", "/questions").text))

    def answer(self, question: str) -> None:
        answer = {"author": "Test Customer", "text": self._words(12)}
        self._page("POST", f"/questions/{question}/answers", data=answer)

    # ---- reading pages

    def _listing(self, url: str) -> Listing:
        page = self._page("GET", self._address(url))
        skus = tuple(dict.fromkeys(_PRODUCT_LINK.findall(page.text)))
        if not skus:
            raise Rejected("empty_listing", page.text[:200])
        return Listing(skus)

    def _product(self, url: str) -> Product:
        page = self._page("GET", self._address(url))
        sku, offer = _SKU.search(page.text), _OFFER.search(page.text)
        if sku is None or offer is None:
            raise Rejected("product_without_price", page.text[:200])
        return Product(sku=sku[1], price_pence=round(float(offer[1]) * 100), available=offer[2] == "InStock")

    def _ordered(self, fields: dict[str, str], lines: tuple[BasketLine, ...]) -> Order:
        found = _order_on(self._page("POST", "/checkout", data={**self.person, **fields}))
        return Order(ref=found[1], total_pence=int(found[2]), lines=lines)

    def _signed_in(self, url: str, **fields: str) -> None:
        page = self._page("POST", url, data=fields)
        if 'data-account="yes"' not in page.text:
            raise Rejected("not_signed_in", page.text[:200])


def _order_on(page: HttpResponse) -> re.Match[str]:
    found = _ORDER.search(page.text)
    if found is None:
        raise Rejected("order_without_reference", page.text[:200])
    return found
