"""Customers who all want the same thing, the SKU in the environment variable DROP_SKU, at the same moment."""

from __future__ import annotations

import os

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import BasketLine

install(events)

__all__ = ["Buyer", "GeneratorUser", "RunShape"]

TOGETHER_S = float(os.environ.get("DROP_TOGETHER", "0"))  # after the start; before that nobody pays


class Buyer(Customer):
    channel = "web"

    def buy(self) -> None:
        product = self.step(self.shop.product, os.environ["DROP_SKU"])
        self.think()
        self.step(self.shop.add_to_basket, product.sku)
        self.think()
        self.step(self.shop.checkout_page)
        self.think()
        self.wait_until(TOGETHER_S)
        self.order(self.shop.checkout, (BasketLine(product.sku, 1, product.price_pence),))
