"""A locustfile of tests: a driver that reads JSON without asking whether it got some."""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Catalogue, Client, Storefront

__all__ = ["CustomerUser", "GeneratorUser", "RunShape"]


class JsonShop(Storefront):
    name = "json-shop"

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        return Catalogue(("page",), (1.0,), ("page",), ("page",))

    def order_status(self, ref: str = "") -> None:
        self.fetch("GET", "/").json()["status"]

    look_up_order = order_status


class CustomerUser(Customer):
    channel = "web"

    def order_status(self) -> None:
        self.step(self.shop.order_status)


install(events, drivers=[JsonShop])
