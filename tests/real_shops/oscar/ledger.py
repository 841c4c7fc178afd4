"""The shop's ledger as JSON, for the audit after a load test. Read-only; without the token it is not there.

To use it in a shop of your own, copy this file beside your `urls.py`, add the three paths, set
`LEDGER_TOKEN` in the settings, and give doorbuster the same text as `DOORBUSTER_LEDGER_TOKEN`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import compare_digest
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from oscar.core.loading import get_model


def orders(request: HttpRequest) -> JsonResponse:
    """Orders placed at or after `since` (Unix seconds), oldest first, with their lines."""
    _guard(request)
    since = datetime.fromtimestamp(float(request.GET.get("since", "0")), tz=UTC)
    found = (
        get_model("order", "Order")
        .objects.filter(date_placed__gte=since)
        .select_related("shipping_address")
        .prefetch_related("lines__product")
        .order_by("id")
    )
    return JsonResponse({"orders": [_order(order) for order in found]})


def stock(request: HttpRequest) -> JsonResponse:
    """Units of each SKU: on the shelf, and promised to orders that are not yet dispatched."""
    _guard(request)
    records = get_model("partner", "StockRecord").objects.select_related("product")
    return JsonResponse(
        {
            "stock": [
                {
                    "sku": _sku(record.product),
                    "in_stock": record.num_in_stock or 0,
                    "allocated": record.num_allocated or 0,
                }
                for record in records
            ]
        }
    )


def mail(request: HttpRequest, number: str) -> JsonResponse:
    """What the confirmation of a guest's order says: the link to its page, and to whom it went.

    Test customers have no inbox; this stands in for it.
    """
    _guard(request)
    order = get_object_or_404(get_model("order", "Order"), number=number, user=None)
    words = {"order_number": order.number, "hash": order.verification_hash()}
    return JsonResponse({"link": reverse("customer:anon-order-form", kwargs=words), "to": order.guest_email})


def _sku(product: Any) -> str:
    """What doorbuster calls this product: its UPC, or its number where it has none."""
    return "" if product is None else str(product.upc or product.id)


def _guard(request: HttpRequest) -> None:
    given = request.headers.get("X-Ledger-Token", "")
    if not settings.LEDGER_TOKEN or not compare_digest(given, settings.LEDGER_TOKEN):
        raise Http404


def _order(order: Any) -> dict[str, Any]:
    address = order.shipping_address
    return {
        "number": order.number,
        "status": order.status,
        "notes": address.notes if address else "",
        "total": str(order.total_incl_tax),
        "placed_at": order.date_placed.timestamp(),
        "lines": [
            {
                "sku": _sku(line.product),
                "quantity": line.quantity,
                "unit_price": str(line.unit_price_incl_tax),
            }
            for line in order.lines.all()
        ],
    }
