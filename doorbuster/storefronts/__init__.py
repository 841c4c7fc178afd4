"""Storefront drivers: what "search", "add to basket" and "order" mean at one kind of shop."""

from __future__ import annotations

from collections.abc import Iterable

from doorbuster.storefronts.http import Client, Response
from doorbuster.storefronts.oscar.driver import OscarShop
from doorbuster.storefronts.protocol import (
    Assortment,
    Basket,
    BookedOrder,
    Books,
    Line,
    Listing,
    Order,
    Product,
    Queued,
    Rejected,
    StockRow,
    Storefront,
    Visit,
)
from doorbuster.storefronts.reference.driver import ReferenceShop
from doorbuster.storefronts.vendure.driver import VendureShop

DRIVERS: dict[str, type[Storefront]] = {
    driver.name: driver for driver in (ReferenceShop, VendureShop, OscarShop)
}


def drivers_with(own: Iterable[type[Storefront]]) -> dict[str, type[Storefront]]:
    """The drivers by the names a scenario may use: those that ship, and `own` ones as `custom:<name>`."""
    return {**DRIVERS, **{f"custom:{driver.name}": driver for driver in own}}


__all__ = [
    "DRIVERS",
    "Assortment",
    "Basket",
    "BookedOrder",
    "Books",
    "Client",
    "Line",
    "Listing",
    "Order",
    "OscarShop",
    "Product",
    "Queued",
    "ReferenceShop",
    "Rejected",
    "Response",
    "StockRow",
    "Storefront",
    "VendureShop",
    "Visit",
    "drivers_with",
]
