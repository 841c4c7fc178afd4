"""The customers of a retail peak, channel by channel.

Runs with plain Locust (`locust -f locustfiles/retail_peak.py --scenario scenarios/smoke.yaml`) and inside
`doorbuster run`. The scenario says how many of whom come when; this file says what they do. A journey is a
method; each `self.step(...)` is one request or page, timed from when the customer meant to make it.
"""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, Gate, Peak, install
from doorbuster.storefronts import Line, Listing, Product, Rejected

install(events)

__all__ = ["CallCentre", "Gate", "Peak", "Scanner", "Till", "WebShopper"]

TRIES_WHEN_SOLD_OUT = 3
SCAN_TO_BASKET = (
    0.1  # share of scans that end in a basket; the journey table in doorbuster/scenario says so too
)


class WebShopper(Customer):
    """Somebody with a browser."""

    channel = "web"

    def browse(self) -> None:
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.shop.category)
        self.think()
        self.look_at_products(listing, pages=2)

    def search(self) -> None:
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.shop.search)
        self.think()
        self.look_at_products(listing, pages=2)

    def abandon_basket(self) -> None:
        self.fill_basket()
        self.step(self.shop.basket)

    def buy(self) -> None:
        self.check_out(self.fill_basket())

    def check_out(self, product: Product) -> None:
        self.step(self.shop.basket)
        self.think()
        self.step(self.shop.checkout_page)
        self.think()
        self.order(self.shop.checkout, (Line(product.sku, 1, product.price_pence),))

    def look_at_products(self, listing: Listing, *, pages: int) -> None:
        for position in range(pages):
            if position:
                self.think()
            self.step(self.shop.product, self.pick(listing))

    def fill_basket(self) -> Product:
        """Home, a category or a search, a product into the basket; another one if that is sold out."""
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.rng.choice((self.shop.category, self.shop.search)))
        for attempt in range(1, TRIES_WHEN_SOLD_OUT + 1):
            self.think()
            product = self.step(self.shop.product, self.pick(listing))
            self.think()
            try:
                self.step(self.shop.add_to_basket, product.sku)
            except Rejected:
                if attempt == TRIES_WHEN_SOLD_OUT:
                    raise
                continue
            break
        self.think()
        return product

    def pick(self, listing: Listing) -> str:
        """A product of the page; what stands first is chosen more often (1/rank)."""
        ranks = range(1, len(listing.skus) + 1)
        return self.rng.choices(listing.skus, weights=[1 / rank for rank in ranks])[0]


class Till(Customer):
    """A sale at a till: the goods are on the counter, the line behind is waiting."""

    channel = "store"

    def till_sale(self) -> None:
        self.order(self.shop.till_sale, self.items())

    def items(self) -> tuple[Line, ...]:
        skus = {self.shop.assortment.draw_sku(self.rng) for _ in range(self.rng.randint(1, 3))}
        return tuple(Line(sku, 1, 0) for sku in sorted(skus))


class CallCentre(Customer):
    """A seat in the call centre: an agent takes one call after the other."""

    channel = "phone"

    def phone_order(self) -> None:
        listing = self.step(self.shop.search)
        self.think()
        product = self.step(self.shop.product, self.rng.choice(listing.skus))
        self.think()
        self.order(self.shop.phone_order, (Line(product.sku, 1, product.price_pence),))

    def order_status(self) -> None:
        """ "Where is my order?": the agent looks up an order that was acknowledged earlier."""
        self.think()
        ref = self.any_order_ref()
        if ref is None:
            self.step(self.shop.search)  # nobody has ordered yet, so the caller asks for a product
        else:
            self.step(self.shop.look_up_order, ref)


class Scanner(WebShopper):
    """Somebody who scans the code in a catalogue or on a poster, with a phone, for the first time."""

    channel = "print"

    def scan(self) -> None:
        product = self.step(self.shop.landing)
        self.think()
        product = self.step(self.shop.product, product.sku)
        if self.rng.random() < SCAN_TO_BASKET:
            self.think()
            self.step(self.shop.add_to_basket, product.sku)
            self.check_out(product)
