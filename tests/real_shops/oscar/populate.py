"""Fills a new, migrated database: 200 products in 8 categories, two of them rare, a country, one of staff."""

from __future__ import annotations

from decimal import Decimal

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  after the set-up
from django.db import transaction  # noqa: E402
from oscar.apps.catalogue.categories import create_from_breadcrumbs  # noqa: E402
from oscar.core.loading import get_model  # noqa: E402

KINDS = ("Jumper", "Scarf", "Teapot", "Puzzle", "Lantern", "Slippers", "Biscuits", "Hamper")
COLOURS = ("Red", "Green", "Blue", "Silver", "Golden")
MAKES = ("Classic", "Cosy", "Festive", "Little", "Grand")


@transaction.atomic
def fill() -> None:
    """Products P0001 to P0200 with 1000 units each; the first two are RARE-1 and RARE-2 with five."""
    get_model("address", "Country").objects.create(
        iso_3166_1_a2="GB", iso_3166_1_a3="GBR", iso_3166_1_numeric="826",
        printable_name="United Kingdom", name="United Kingdom", is_shipping_country=True,
    )  # fmt: skip
    get_user_model().objects.create_superuser("staff", "staff@example.com", "only-for-tests")
    kind = get_model("catalogue", "ProductClass").objects.create(
        name="Goods", requires_shipping=True, track_stock=True
    )
    partner = get_model("partner", "Partner").objects.create(name="Warehouse", code="warehouse")
    number = 0
    for what in KINDS:
        category = create_from_breadcrumbs(f"{what}s")
        for make in MAKES:
            for colour in COLOURS:
                number += 1
                rare = number <= 2
                product = get_model("catalogue", "Product").objects.create(
                    title=f"{make} {colour} {what}", upc=f"RARE-{number}" if rare else f"P{number:04d}",
                    product_class=kind, structure="standalone",
                    description=f"A {make.lower()} {colour.lower()} {what.lower()} for the holidays.",
                )  # fmt: skip
                get_model("catalogue", "ProductCategory").objects.create(product=product, category=category)
                get_model("partner", "StockRecord").objects.create(
                    product=product, partner=partner, partner_sku=product.upc, price_currency="GBP",
                    price=Decimal(5 + number % 40) + Decimal("0.99"), num_in_stock=5 if rare else 1000,
                )  # fmt: skip


fill()
