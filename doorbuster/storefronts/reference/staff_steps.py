"""Steps of staff and partners at the reference shop: tills, call centre, pickup counter, product feed."""

from __future__ import annotations

from typing import Any

from doorbuster.storefronts.base import BasketLine, Listing, Order, Rejected
from doorbuster.storefronts.reference.base import ReferenceBase, lines_json

_FEED_ROWS = 500


class StaffSteps(ReferenceBase):
    """Tills, agents and partners order by line, without a basket."""

    _after = ""

    def pos_sale(self, key: str, lines: tuple[BasketLine, ...], sold_at_unix_s: float | None = None) -> Order:
        """A sale at a till; with `sold_at_unix_s`, one made offline and sent afterwards."""
        body: dict[str, Any] = {"till": f"till-{self._desk}", "lines": lines_json(lines)}
        if sold_at_unix_s is not None:
            body["sold_at_unix_s"] = sold_at_unix_s
        return self._order("/api/till/sales", key, body)

    def phone_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        body = {"agent": f"agent-{self._desk}", "customer": self.person, "lines": lines_json(lines)}
        return self._order("/api/phone/orders", key, body)

    def look_up_order(self, ref: str) -> None:
        """An agent looks up an order by its reference."""
        if "order_ref" not in self._json("GET", f"/api/orders/{ref}"):
            raise Rejected("order_without_reference")

    def pickup(self, ref: str) -> None:
        """The store hands over an order placed for collection."""
        answer = self._json("POST", f"/api/staff/orders/{ref}/pickup")
        if answer.get("state") != "collected":
            raise Rejected("not_collected", str(answer.get("state")))

    def feed(self) -> Listing:
        """The next page of the product feed; starts again after the last one."""
        answer = self._json(
            "GET", f"/api/feed?limit={_FEED_ROWS}" + (f"&after={self._after}" * bool(self._after))
        )
        products = answer["products"]
        if not products or not all(row["price_pence"] > 0 for row in products):
            raise Rejected("product_without_price", str(products)[:200])
        self._after = answer["next"] or ""
        return Listing(tuple(row["sku"] for row in products))

    def partner_order(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        body = {"partner": "marketplace", "customer": self.person, "lines": lines_json(lines)}
        return self._order("/api/partner/orders", key, body)
