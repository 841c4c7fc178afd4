"""Our customers of the benchmarks: a shop of five pages behind nginx, the status of every answer checked.

BENCH_ROUNDS: how often a customer makes the journey in one visit.
"""

from __future__ import annotations

import os

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import (
    BasketLine,
    Catalogue,
    Client,
    Listing,
    Order,
    Product,
    Rejected,
    Storefront,
)

__all__ = ["CustomerUser", "GeneratorUser", "RunShape", "Shopper"]

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1"))


class FivePages(Storefront):
    """The shop of `benchmarks/server.py`."""

    name = "bench"

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:  # noqa: ARG003  nothing to ask
        return Catalogue(("P7",), (1.0,), ("tinsel",), ("lights",))

    def home(self) -> None:
        self._page("GET", "/home", 200)

    category = basket = checkout_page = home

    def search(self) -> Listing:
        products = self._page("GET", "/search", 200).json()["products"]
        return Listing((products[0]["id"],))

    def product(self, sku: str) -> Product:
        self._page("GET", f"/product/{sku}", 200)
        return Product(sku, 3500, available=True)

    def add_to_basket(self, sku: str) -> None:
        self._page("POST", "/basket", 200, json={"sku": sku})

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        self._page("POST", "/checkout", 201, json={"key": key})
        return Order(key, 3500, lines)

    def order_status(self, ref: str = "") -> None:  # noqa: ARG002  what journeys give
        self._page("GET", "/small", 200)

    look_up_order = order_status

    def _page(self, method: str, url: str, status: int, **options: object):
        response = self.client.request(method, url, **options)
        if response.status_code != status:
            raise Rejected(response.cause or "unexpected_status")
        return response


class Shopper(Customer):
    """The journey of five steps; closed, so that as many as there are seats keep the core busy."""

    channel = "phone"

    def buy(self) -> None:
        for number in range(ROUNDS):
            if number:
                self.think()
            self.step(self.shop.home)
            self.think()
            listing = self.step(self.shop.search)
            self.think()
            product = self.step(self.shop.product, listing.skus[0])
            self.think()
            self.step(self.shop.add_to_basket, product.sku)
            self.think()
            self.step(
                self.shop.checkout, self.arrival.name, (BasketLine(product.sku, 1, product.price_pence),)
            )


class CustomerUser(Customer):
    """One request, or a search and a basket and then waiting."""

    channel = "web"

    def order_status(self) -> None:
        self.step(self.shop.order_status)

    def search(self) -> None:
        """Search, look at a product, put it into the basket, and think: a customer with a journey's state."""
        listing = self.step(self.shop.search)
        self.think()
        product = self.step(self.shop.product, listing.skus[0])
        self.step(self.shop.add_to_basket, product.sku)
        while True:
            self.think()
            self.step(self.shop.home)


install(events, drivers=[FivePages])
