"""Storefront drivers: what "search", "add to basket" and "order" mean at one kind of shop."""

from __future__ import annotations

from collections.abc import Iterable

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
    Visit,
    WaitingRoomError,
)
from doorbuster.storefronts.http import Client, HttpResponse
from doorbuster.storefronts.oscar.driver import OscarShop
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
    "Basket",
    "BasketLine",
    "BookedOrder",
    "Catalogue",
    "Client",
    "HttpResponse",
    "LedgerSnapshot",
    "Listing",
    "Order",
    "OscarShop",
    "Product",
    "ReferenceShop",
    "Rejected",
    "StockRow",
    "Storefront",
    "VendureShop",
    "Visit",
    "WaitingRoomError",
    "drivers_with",
]
