"""A locustfile of tests: a shop with one page, and customers that request it once."""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Catalogue, Client, Storefront

__all__ = ["CustomerUser", "GeneratorUser", "RunShape"]


class OnePage(Storefront):
    """Any server that answers GET / with a status below 400."""

    name = "one-page"

    @classmethod
    def prepare(cls, client: Client) -> Catalogue:
        return Catalogue(("page",), (1.0,), ("page",), ("page",))

    def order_status(self, ref: str = "") -> None:
        self.fetch("GET", "/")

    look_up_order = order_status  # the journey has both steps


class CustomerUser(Customer):
    channel = "web"

    def order_status(self) -> None:
        self.step(self.shop.order_status)


install(events, drivers=[OnePage])
