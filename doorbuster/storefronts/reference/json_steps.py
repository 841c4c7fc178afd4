"""Steps of the reference shop through its JSON API, as apps, assistants and staff screens use it."""

from __future__ import annotations

from typing import Any

from doorbuster.shop_settings import MEMBER, OLD_MEMBER, OPENING_PASSWORD
from doorbuster.storefronts.accounts import new_email
from doorbuster.storefronts.base import Basket, BasketLine, Listing, Order, Product, Rejected
from doorbuster.storefronts.reference.base import (
    NEW_PASSWORD,
    ReferenceBase,
)


class JsonSteps(ReferenceBase):
    _basket = ""
    _token = ""

    # ---- browsing

    def home(self) -> Listing:
        return self._listing("/api/home", "best_sellers")

    def category(self) -> Listing:
        return self._listing(f"/api/categories/{self.rng.choice(self.catalogue.categories)}", "products")

    def search(self) -> Listing:
        return self._listing(f"/api/search?q={self.rng.choice(self.catalogue.search_terms)}", "products")

    def landing(self) -> Product:
        return self._product(f"/api/codes/{self.catalogue.draw_sku(self.rng)}")

    def product(self, sku: str) -> Product:
        return self._product(f"/api/products/{sku}")

    def recommendations(self, sku: str) -> None:
        self._listing(f"/api/products/{sku}/recommendations", "products")

    # ---- basket and order

    def add_to_basket(self, sku: str) -> None:
        basket = self._current_basket()
        self._ask("POST", f"/api/baskets/{basket}/lines", json={"sku": sku, "quantity": 1})

    def basket(self) -> Basket:
        return Basket({line["sku"]: line["quantity"] for line in self._basket_contents()["lines"]})

    def checkout_page(self) -> None:
        if not self._basket_contents()["lines"]:
            raise Rejected("empty_basket")

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:  # noqa: ARG002  the basket has them
        return self._ordered(key)

    def collect_checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:  # noqa: ARG002
        """Order the basket for collection in a store."""
        return self._ordered(key, store=self._store)

    def order_status(self, ref: str) -> None:
        if self._ask("GET", f"/api/orders/{ref}").get("order_ref") != ref:
            raise Rejected("order_without_reference")

    def return_items(self, ref: str) -> None:
        answer = self._ask("POST", f"/api/orders/{ref}/returns")
        if answer.get("state") != "returned":
            raise Rejected("not_returned", str(answer.get("state")))

    # ---- account

    def sign_in(self) -> None:
        """Sign in with one of the opening accounts."""
        self._signed_in("/api/sessions", email=self._member(MEMBER), password=OPENING_PASSWORD)

    def register(self) -> None:
        self._signed_in(
            "/api/accounts",
            name="Test Customer",
            email=new_email(self.visit, self.rng),
            password=NEW_PASSWORD,
        )

    def reset_password(self) -> None:
        """Fail with the expired password, request a reset code and set a new password."""
        email = self._member(OLD_MEMBER)
        try:
            self._ask("POST", "/api/sessions", json={"email": email, "password": OPENING_PASSWORD})
        except Rejected as refusal:
            if refusal.cause not in (
                "password_expired",
                "wrong_password",
            ):  # the latter: this account was reset before
                raise
        code = self._ask("POST", "/api/password-resets", json={"email": email})["code"]
        self._signed_in("/api/passwords", code=code, password=NEW_PASSWORD)

    # ---- reviews and questions

    def reviews(self, sku: str) -> None:
        if not self._ask("GET", f"/api/products/{sku}/reviews")["reviews"]:
            raise Rejected("no_reviews")

    def write_review(self, sku: str) -> None:
        stars = self.rng.choice((5, 5, 4, 4, 3, 2, 1))
        review = {
            "author": "Test Customer",
            "rating": stars,
            "title": self._words(2),
            "text": self._words(20),
        }
        self._ask("POST", f"/api/products/{sku}/reviews", json=review)

    def ask(self, sku: str) -> str:
        question = {"author": "Test Customer", "text": f"{self._words(8)}?"}
        return str(self._ask("POST", f"/api/products/{sku}/questions", json=question)["question"])

    def open_questions(self) -> tuple[str, ...]:
        return tuple(str(row["question"]) for row in self._ask("GET", "/api/questions")["questions"])

    def answer(self, question: str) -> None:
        answer = {"author": "Test Customer", "text": self._words(12)}
        self._ask("POST", f"/api/questions/{question}/answers", json=answer)

    # ---- requests

    def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        return self._json(method, url, headers=self._headers(), **options)

    def _headers(self) -> dict[str, str]:
        return {
            "X-Channel": self.channel,
            **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        }

    def _listing(self, url: str, section: str) -> Listing:
        products = self._ask("GET", self._address(url))[section]
        if not products:
            raise Rejected("empty_listing", url)
        return Listing(tuple(row["sku"] for row in products))

    def _product(self, url: str) -> Product:
        found = self._ask("GET", self._address(url))
        if not found.get("price_pence"):
            raise Rejected("product_without_price", str(found)[:200])
        return Product(found["sku"], found["price_pence"], found["availability"] == "in_stock")

    def _current_basket(self) -> str:
        """The basket of this visit: a new one for guests, the account's own after signing in."""
        if not self._basket:
            self._basket = self._ask("POST", "/api/baskets")["basket"]
        return self._basket

    def _basket_contents(self) -> dict[str, Any]:
        if not self._basket and not self._token:
            raise Rejected("empty_basket")
        return self._ask("GET", f"/api/baskets/{self._current_basket()}")

    def _ordered(self, key: str, **more: str) -> Order:
        body = {"basket": self._basket, "customer": self.person, **more}
        return self._order("/api/orders", key, body, **self._headers())

    def _signed_in(self, url: str, **fields: str) -> None:
        """The guest's basket is merged into the account's."""
        if self._basket:
            fields["basket"] = self._basket
        answer = self._ask("POST", url, json=fields)
        token = answer.get("token")
        if not isinstance(token, str) or not token:
            raise Rejected("not_signed_in", url)
        self._token, self._basket = token, answer.get("basket") or ""
