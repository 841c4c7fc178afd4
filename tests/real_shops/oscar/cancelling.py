"""A cancelled order gives its goods back; oscar leaves that to each shop's own order processing."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from oscar.apps.order.signals import order_status_changed
from oscar.core.loading import get_class


@receiver(order_status_changed)
def give_back(order: Any, new_status: str, **_: Any) -> None:
    """What was promised to the order is for sale again."""
    if new_status == "cancelled":
        get_class("order.processing", "EventHandler")().cancel_stock_allocations(order)
