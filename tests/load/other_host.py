"""A locustfile of tests: a shop on loopback that answers questions about orders at another host."""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Catalogue, Client, Storefront

__all__ = ["CustomerUser", "GeneratorUser", "RunShape"]


class TwoHosts(Storefront):
    name = "two-hosts"

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        return Catalogue(("page",), (1.0,), ("page",), ("page",))

    def order_status(self, ref: str = "") -> None:
        self.fetch("GET", "http://192.0.2.7/orders")

    look_up_order = order_status


class CustomerUser(Customer):
    channel = "web"

    def order_status(self) -> None:
        self.step(self.shop.order_status)


install(events, drivers=[TwoHosts])
