"""The customers of a retail peak, channel by channel.

Runs with plain Locust (`locust -f locustfiles/retail_peak.py --scenario scenarios/smoke.yaml`) and inside
`doorbuster run`. The scenario says how many of whom come when; this file says what they do. A journey is a
method; each `self.step(...)` is one request or page, timed from when the customer meant to make it.
"""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.scenario import PAGE_CHAINS
from doorbuster.storefronts import BasketLine, Listing, Product, Rejected

install(events)

__all__ = [
    "AppShopper",
    "Assistant",
    "CallCentre",
    "Follower",
    "GeneratorUser",
    "Partner",
    "RunShape",
    "Scanner",
    "Till",
    "WebShopper",
]

TRIES_WHEN_SOLD_OUT = 3
# The journey table in doorbuster/scenario says these shares too.
SCAN_TO_BASKET = 0.1  # scans that end in a basket
ASSISTED_ORDERS = 0.2  # of 9.4 requests: 2.2 % checkouts, 87 % product pages (Vercel, 2025)
ASSISTED_PAGES = 8
EVENING_REVIEWS = 0.1
FEED_PAGES = 10


class Shopper(Customer):
    """Somebody with a screen: what websites, apps and links have in common."""

    abstract = True

    # ---- looking around

    def browse(self) -> None:
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.shop.category)
        self.think()
        self.look_at_products(listing)

    def search(self) -> None:
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.shop.search)
        self.think()
        self.look_at_products(listing)

    def community_browse(self) -> None:
        listing = self.step(self.shop.home)
        for _ in range(self.pages()):
            self.think()
            product = self.step(self.shop.product, self.pick(listing))
            self.think()
            self.try_step(self.shop.reviews, product.sku)
        if self.rng.random() < EVENING_REVIEWS:
            self.think()
            self.step(self.shop.write_review, product.sku)

    def deep_link(self) -> None:
        """By a code, or by a link in a mail, a post or a message: straight to one product."""
        product = self.step(self.shop.landing)
        self.think()
        product = self.step(self.shop.product, product.sku)
        if self.rng.random() < SCAN_TO_BASKET:
            self.wants_order()
            self.think()
            self.step(self.shop.add_to_basket, product.sku)
            self.step(self.shop.basket)
            self.think()
            self.check_out(product)

    # ---- ordering

    def abandon_basket(self) -> None:
        self.fill_basket()
        self.step(self.shop.basket)

    def buy(self) -> None:
        product = self.fill_basket()
        self.step(self.shop.basket)
        self.think()
        self.check_out(product)

    def flash_sale(self) -> None:
        """The one product that everybody wants: what sold most before."""
        product = self.step(self.shop.product, self.shop.catalogue.best_seller())
        self.think()
        self.step(self.shop.add_to_basket, product.sku)
        self.think()
        self.check_out(product)

    def click_and_collect(self) -> None:
        """Order here, and be handed the parcel in a store."""
        product = self.fill_basket()
        self.step(self.shop.basket)
        self.think()
        self.sign_in_if_known()
        self.step(self.shop.checkout_page)
        self.think()
        order = self.order(self.shop.collect_checkout, (BasketLine(product.sku, 1, product.price_pence),))
        self.think()
        self.cross_to("store")
        self.step(self.shop.pickup, order.ref)

    # ---- after the order

    def order_status(self) -> None:
        """ "Where is my order?"; before anybody has ordered there is only the home page to look at."""
        ref = self.any_order_ref()
        if ref is None:
            self.step(self.shop.home)
        else:
            self.step(self.shop.order_status, ref)

    def return_order(self) -> None:
        """Send an order back that nobody else sends back; there is none before the first has been placed."""
        ref = self.take_order_ref()
        if ref is None:
            self.step(self.shop.home)
            return
        self.step(self.shop.order_status, ref)
        self.think()
        self.step(self.shop.return_items, ref)

    def password_reset(self) -> None:
        self.step(self.shop.home)
        self.think()
        self.step(self.shop.reset_password)
        self.think()
        self.step(self.shop.product, self.shop.catalogue.draw_sku(self.rng))

    # ---- what customers tell each other

    def review(self) -> None:
        product = self.step(self.shop.landing)
        self.think()
        self.try_step(self.shop.reviews, product.sku)
        self.think()
        self.step(self.shop.write_review, product.sku)

    def ask(self) -> None:
        product = self.step(self.shop.landing)
        self.think()
        self.step(self.shop.ask, product.sku)

    def answer(self) -> None:
        questions = self.step(self.shop.open_questions)
        if questions:
            self.think()
            self.step(self.shop.answer, self.rng.choice(questions))

    # ---- page to page, by a published Markov chain

    def tpcw_browsing(self) -> None:
        self.follow_page_chain("browsing")

    def tpcw_shopping(self) -> None:
        self.follow_page_chain("shopping")

    def tpcw_ordering(self) -> None:
        self.follow_page_chain("ordering")

    def follow_page_chain(self, mix: str) -> None:
        """From home through the shop, until the chain leads home again after enough pages."""
        chain, page, seen, enough = PAGE_CHAINS[mix], "home", 0, self.pages()
        listing, basket = None, None
        while not seen or page != "home" or seen < enough:
            if seen:
                self.think()
            match page:
                case "home" | "search_form" | "order_inquiry":
                    listing = self.step(self.shop.home)
                case "new_products" | "best_sellers":
                    listing = self.step(self.shop.category)
                case "search":
                    listing = self.step(self.shop.search)
                case "product" | "admin_request" | "admin_confirm":
                    self.step(self.shop.product, self.pick(listing))
                case "basket":
                    basket = self.pick(listing)
                    self.step(self.shop.add_to_basket, basket)
                case "register":
                    self.step(self.shop.sign_in)
                case "checkout_page":
                    self.step(self.shop.checkout_page)
                case "checkout":
                    self.order(self.shop.checkout, (BasketLine(basket, 1, 0),))
                case "order_status":
                    self.order_status()
            seen += 1
            page = chain.after(page, self.rng)

    # ---- parts of the journeys

    def look_at_products(self, listing: Listing) -> None:
        for position in range(self.pages()):
            if position:
                self.think()
            self.look_at(self.pick(listing))

    def look_at(self, sku: str) -> Product:
        return self.step(self.shop.product, sku)

    def fill_basket(self) -> Product:
        """Home, a category or a search, a product into the basket; another one if that is sold out."""
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.rng.choice((self.shop.category, self.shop.search)))
        for attempt in range(1, TRIES_WHEN_SOLD_OUT + 1):
            self.think()
            product = self.look_at(self.pick(listing))
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

    def check_out(self, product: Product) -> None:
        self.sign_in_if_known()
        self.step(self.shop.checkout_page)
        self.think()
        self.order(self.shop.checkout, (BasketLine(product.sku, 1, product.price_pence),))

    def sign_in_if_known(self) -> None:
        if self.visit.signed_in:
            self.step(self.shop.sign_in)
            self.think()

    def pick(self, listing: Listing) -> str:
        """A product of the page; what stands first is chosen more often (1/rank)."""
        ranks = range(1, len(listing.skus) + 1)
        return self.rng.choices(listing.skus, weights=[1 / rank for rank in ranks])[0]


class WebShopper(Shopper):
    """Somebody with a browser."""

    channel = "web"


class AppShopper(Shopper):
    """Somebody with the app, which fetches recommendations where there are any; without them it goes on."""

    channel = "app"

    def look_at(self, sku: str) -> Product:
        product = super().look_at(sku)
        if self.shop.missing_steps(["recommendations"]):  # what it lacks
            return product
        self.try_step(self.shop.recommendations, sku)
        return product


class Till(Customer):
    """A sale at a till: the goods are on the counter, the line behind is waiting."""

    channel = "store"

    def pos_sale(self) -> None:
        self.order(self.shop.pos_sale, self.items())

    def items(self) -> tuple[BasketLine, ...]:
        skus = {self.shop.catalogue.draw_sku(self.rng) for _ in range(self.rng.randint(1, 3))}
        return tuple(BasketLine(sku, 1, 0) for sku in sorted(skus))


class CallCentre(Customer):
    """A seat in the call centre: an agent takes one call after the other."""

    channel = "phone"

    def phone_order(self) -> None:
        listing = self.step(self.shop.search)
        self.think()
        product = self.step(self.shop.product, self.rng.choice(listing.skus))
        self.think()
        self.order(self.shop.phone_order, (BasketLine(product.sku, 1, product.price_pence),))

    def order_status(self) -> None:
        """ "Where is my order?": the agent looks up an order that was acknowledged earlier."""
        self.think()
        ref = self.any_order_ref()
        if ref is None:
            self.step(self.shop.search)  # nobody has ordered yet, so the caller asks for a product
        else:
            self.step(self.shop.look_up_order, ref)


class Scanner(Shopper):
    """Somebody who scans the code in a catalogue or on a poster, with a phone, for the first time."""

    channel = "print"


class Follower(Shopper):
    """Somebody who comes from a post, a review or a question of somebody else."""

    channel = "social"


class Assistant(Shopper):
    """A program: a shopping assistant, a scalper, or what opens the links of a mail before people do."""

    channel = "agent"

    def comparison_shopping(self) -> None:
        listing = self.step(self.shop.search)
        for _ in range(ASSISTED_PAGES):
            product = self.step(self.shop.product, self.pick(listing))
            self.think()
        if self.rng.random() < ASSISTED_ORDERS:
            self.wants_order()
            self.step(self.shop.add_to_basket, product.sku)
            self.order(self.shop.checkout, (BasketLine(product.sku, 1, product.price_pence),))

    def prefetch(self) -> None:
        self.step(self.shop.landing)


class Partner(Till):
    """Another shop's computer."""

    channel = "partner"

    def sync_feed(self) -> None:
        for page in range(FEED_PAGES):
            if page:
                self.think()
            self.step(self.shop.feed)

    def partner_sale(self) -> None:
        self.order(self.shop.partner_order, self.items())
