"""A channel, a journey and two steps that the library does not know."""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import BasketLine, Order, ReferenceShop, Storefront
from doorbuster.storefronts.reference.driver import ReferenceJsonDriver

__all__ = ["GeneratorUser", "Kiosk", "RunShape", "Web"]


class KioskShop(ReferenceShop):
    name = "kiosk"

    @classmethod
    def for_channel(cls, channel: str) -> type[Storefront]:
        return KioskProgram if channel == "kiosk" else ReferenceShop


class KioskProgram(ReferenceJsonDriver):
    def loyalty_card(self) -> None:
        self.fetch("GET", "/api/stores")

    def kiosk_payment(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        return self.checkout(key, lines)


class Web(Customer):
    channel = "web"

    def browse(self) -> None:
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.shop.category)
        for _ in range(2):
            self.think()
            self.step(self.shop.product, self.rng.choice(listing.skus))


class Kiosk(Web):
    channel = "kiosk"

    def kiosk_order(self) -> None:
        listing = self.step(self.shop.home)
        self.think()
        self.step(self.shop.loyalty_card)
        self.think()
        product = self.step(self.shop.product, self.rng.choice(listing.skus))
        self.think()
        self.step(self.shop.add_to_basket, product.sku)
        self.think()
        self.order(self.shop.kiosk_payment, (BasketLine(product.sku, 1, product.price_pence),))


install(events, drivers=[KioskShop])
