"""Storefront drivers: what "search", "add to basket" and "order" mean at one kind of shop."""

from __future__ import annotations

from doorbuster.storefronts.protocol import (
    Assortment,
    BookedOrder,
    Books,
    Client,
    Line,
    Listing,
    Order,
    Product,
    Rejected,
    Response,
    StockRow,
    Storefront,
)
from doorbuster.storefronts.reference import ReferenceShop

DRIVERS: dict[str, type[Storefront]] = {driver.name: driver for driver in (ReferenceShop,)}

__all__ = [
    "DRIVERS",
    "Assortment",
    "BookedOrder",
    "Books",
    "Client",
    "Line",
    "Listing",
    "Order",
    "Product",
    "ReferenceShop",
    "Rejected",
    "Response",
    "StockRow",
    "Storefront",
]
