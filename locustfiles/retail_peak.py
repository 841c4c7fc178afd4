"""The customers of a retail peak, one class per channel.

Runs with plain Locust (`locust -f locustfiles/retail_peak.py --scenario scenarios/smoke.yaml`) and in
`doorbuster run`. The scenario has the arrivals; this file has the journeys. A journey is a method; each
`self.step(...)` is one request or page, timed from its intended start.
"""

from __future__ import annotations

from locust import events

from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.scenario import ENTER, LEAVE, PAGE_CHAINS, VisitChain
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

MAX_PRODUCTS_TRIED = 3
# The journeys in doorbuster/scenario have the same shares.
SCAN_TO_BASKET = 0.1  # share of scans that lead to a basket
ASSISTED_ORDERS = 0.2  # of 9.4 requests: 2.2 % checkouts, 87 % product pages (Vercel, 2025)
ASSISTED_PAGES = 8
EVENING_REVIEWS = 0.1
FEED_PAGES = 10


class Shopper(Customer):
    """What customers of websites, apps and links have in common."""

    abstract = True

    # ---- browsing

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
        """Open one product by a code, or by a link in a mail, a post or a message."""
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
        """Buy the best seller, as all other customers of the sale."""
        product = self.step(self.shop.product, self.shop.catalogue.best_seller())
        self.think()
        self.step(self.shop.add_to_basket, product.sku)
        self.think()
        self.check_out(product)

    def click_and_collect(self) -> None:
        """Order online and collect the parcel in a store."""
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
        """ "Where is my order?"; opens the home page as long as there is no order."""
        ref = self.any_order_ref()
        if ref is None:
            self.step(self.shop.home)
        else:
            self.step(self.shop.order_status, ref)

    def return_order(self) -> None:
        """Return an order that no other customer returns; opens the home page if there is none."""
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

    # ---- reviews and questions

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

    # ---- published Markov chains of pages

    def tpcw_browsing(self) -> None:
        self.follow_page_chain("browsing")

    def tpcw_shopping(self) -> None:
        self.follow_page_chain("shopping")

    def tpcw_ordering(self) -> None:
        self.follow_page_chain("ordering")

    def follow_page_chain(self, mix: str) -> None:
        """Follow the chain from home until it returns there after at least the drawn number of pages."""
        chain, page, seen, min_pages = PAGE_CHAINS[mix], "home", 0, self.pages()
        listing, basket = None, None
        while not seen or page != "home" or seen < min_pages:
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

    def follow_chain(self, chain: VisitChain) -> None:
        """Follow the scenario's own chain, as `doorbuster demand from-log` finds it in an access log.

        A product that is sold out stays out of the basket. The chain does not know what is in the basket: who
        comes to the checkout with an empty one adds a product there.
        """
        listing, product, basket = None, None, None
        page = chain.after(ENTER, self.rng)
        while page != LEAVE:
            match page:
                case "home" | "category" | "search":
                    listing = self.step(getattr(self.shop, page))
                case "product":
                    product = self.step(self.shop.product, self.pick_any(listing)).sku
                case "add_to_basket":
                    basket = self.fill(product or self.pick_any(listing)) or basket
                case "checkout_page" | "checkout":
                    basket = basket or self.fill(product or self.pick_any(listing))
                    if page == "checkout_page":
                        self.step(self.shop.checkout_page)
                    else:
                        self.order(self.shop.checkout, (BasketLine(basket, 1, 0),))
                        basket = None
                case "order_status":
                    self.order_status()
                case "basket" | "sign_in":
                    self.step(getattr(self.shop, page))
            page = chain.after(page, self.rng)
            if page != LEAVE:
                self.think()

    def fill(self, sku: str) -> str | None:
        """Add a product to the basket; None if it is sold out."""
        try:
            self.step(self.shop.add_to_basket, sku)
        except Rejected:
            return None
        return sku

    def pick_any(self, listing: Listing | None) -> str:
        """A product of the page; of the catalogue for visitors who have seen no listing."""
        return self.shop.catalogue.draw_sku(self.rng) if listing is None else self.pick(listing)

    # ---- parts of the journeys

    def look_at_products(self, listing: Listing) -> None:
        for position in range(self.pages()):
            if position:
                self.think()
            self.look_at(self.pick(listing))

    def look_at(self, sku: str) -> Product:
        return self.step(self.shop.product, sku)

    def fill_basket(self) -> Product:
        """Find a product by category or search and add it to the basket; try others if it is sold out."""
        self.step(self.shop.home)
        self.think()
        listing = self.step(self.rng.choice((self.shop.category, self.shop.search)))
        for attempt in range(1, MAX_PRODUCTS_TRIED + 1):
            self.think()
            product = self.look_at(self.pick(listing))
            self.think()
            try:
                self.step(self.shop.add_to_basket, product.sku)
            except Rejected:
                if attempt == MAX_PRODUCTS_TRIED:
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
        """A product of the page; the weight of a position is 1/rank."""
        ranks = range(1, len(listing.skus) + 1)
        return self.rng.choices(listing.skus, weights=[1 / rank for rank in ranks])[0]


class WebShopper(Shopper):
    """A customer with a browser."""

    channel = "web"


class AppShopper(Shopper):
    """A customer with the app, which fetches recommendations if the shop has them; they may fail."""

    channel = "app"

    def look_at(self, sku: str) -> Product:
        product = super().look_at(sku)
        if not self.shop.missing_steps(["recommendations"]):
            self.try_step(self.shop.recommendations, sku)
        return product


class Till(Customer):
    """A sale at a till."""

    channel = "store"

    def pos_sale(self) -> None:
        self.order(self.shop.pos_sale, self.items())

    def items(self) -> tuple[BasketLine, ...]:
        skus = {self.shop.catalogue.draw_sku(self.rng) for _ in range(self.rng.randint(1, 3))}
        return tuple(BasketLine(sku, 1, 0) for sku in sorted(skus))


class CallCentre(Customer):
    """A call to the call centre; an agent uses the shop."""

    channel = "phone"

    def phone_order(self) -> None:
        listing = self.step(self.shop.search)
        self.think()
        product = self.step(self.shop.product, self.rng.choice(listing.skus))
        self.think()
        self.order(self.shop.phone_order, (BasketLine(product.sku, 1, product.price_pence),))

    def order_status(self) -> None:
        """ "Where is my order?": the agent looks up an acknowledged order."""
        self.think()
        ref = self.any_order_ref()
        if ref is None:
            self.step(self.shop.search)  # there is no order yet: the caller asks for a product
        else:
            self.step(self.shop.look_up_order, ref)


class Scanner(Shopper):
    """A first-time visitor who scans a code in a catalogue or on a poster."""

    channel = "print"


class Follower(Shopper):
    """A visitor from a post, a review or a question of another customer."""

    channel = "social"


class Assistant(Shopper):
    """A program: a shopping assistant, a scalper bot, or a link scanner of a mail service."""

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
    """The system of a partner shop."""

    channel = "partner"

    def sync_feed(self) -> None:
        for page in range(FEED_PAGES):
            if page:
                self.think()
            self.step(self.shop.feed)

    def partner_sale(self) -> None:
        self.order(self.shop.partner_order, self.items())
