"""What customers come for: the known channels, journeys and steps, and how many requests each takes.

Visits per customer are means of a typical customer of that journey; they feed the estimates of
`doorbuster check` and say which step names a threshold may use. They steer nothing at run time.
"""

from __future__ import annotations

from typing import NamedTuple

from doorbuster.scenario.customers.page_chain import PAGE_CHAINS, MarkovChain


class StepVisits(NamedTuple):
    """One step of a journey and how often a customer takes it on average."""

    step: str
    visits: float


class Journey(NamedTuple):
    """One reason to come to the shop.

    `wants_order`: every customer of this journey tries to place an order. `steps`: in the usual order.
    """

    name: str
    wants_order: bool
    meaning: str
    steps: tuple[StepVisits, ...]

    @property
    def chain(self) -> MarkovChain | None:
        """The page chain of a TPC-W journey; None for the others."""
        kind, _, mix = self.name.partition("_")
        return PAGE_CHAINS[mix] if kind == "tpcw" else None

    @property
    def requests(self) -> float:
        """Mean requests of one customer."""
        return sum(step.visits for step in self.steps)


CHANNELS: dict[str, str] = {
    "web": "the website, on a desktop computer unless patience says otherwise",
    "app": "the mobile app and the mobile site",
    "store": "tills and mobile point of sale in the shops",
    "phone": "the call centre's seats",
    "print": "QR codes and web addresses on catalogues, posters and adverts",
    "social": "reviews, questions, answers and links in posts",
    "agent": "bots, crawlers and shopping assistants acting for people",
    "partner": "marketplaces and affiliates that use the interface of the shop",
}

# Patience when a channel does not say: people at a screen leave, staff and machines wait.
DEFAULT_PATIENCE: dict[str, str] = {
    "web": "desktop",
    "app": "mobile",
    "print": "mobile",
    "social": "mobile",
    "store": "none",
    "phone": "none",
    "agent": "none",
    "partner": "none",
}


def _journey(name: str, meaning: str, steps: dict[str, float], *, wants_order: bool = False) -> Journey:
    return Journey(name, wants_order, meaning, tuple(StepVisits(*item) for item in steps.items()))


# What a page of a wandering visit is at a shop. Forms for searching and for asking after an order are on its
# home page; the two pages of an administrator are a product's; whoever goes to the basket puts something in.
PAGE_STEPS: dict[str, str] = {
    "home": "home",
    "new_products": "category",
    "best_sellers": "category",
    "product": "product",
    "search_form": "home",
    "search": "search",
    "basket": "add_to_basket",
    "register": "sign_in",
    "checkout_page": "checkout_page",
    "checkout": "checkout",
    "order_inquiry": "home",
    "order_status": "order_status",
    "admin_request": "product",
    "admin_confirm": "product",
}


def _seen(chain: MarkovChain) -> dict[str, float]:
    """Mean requests of one visit from home back to home, by step."""
    steps: dict[str, float] = {}
    for page, ratio in chain.stationary.items():
        steps[PAGE_STEPS[page]] = steps.get(PAGE_STEPS[page], 0.0) + ratio * chain.pages_between_homes
    return steps


_ALL = (
    _journey("browse", "look around by category", {"home": 1, "category": 1, "product": 2}),
    _journey("search", "look for something by name", {"home": 1, "search": 1, "product": 2}),
    _journey(
        "buy",
        "find something and order it for delivery",
        {
            "home": 1, "category": 0.5, "search": 0.5, "product": 1,
            "add_to_basket": 1, "basket": 1, "checkout_page": 1, "checkout": 1,
        },
        wants_order=True,
    ),
    _journey(
        "abandon_basket",
        "fill a basket and leave, as 69 of 100 people with a basket do",
        {"home": 1, "category": 0.5, "search": 0.5, "product": 1, "add_to_basket": 1, "basket": 1},
    ),
    _journey(
        "click_and_collect",
        "order on the web and fetch it from a store: the same customer in two channels",
        {
            "home": 1, "search": 1, "product": 1, "add_to_basket": 1,
            "basket": 1, "checkout_page": 1, "collect_checkout": 1, "pickup": 1,
        },
        wants_order=True,
    ),
    _journey(
        "flash_sale",
        "want the one product everybody wants, and nothing else",
        {"product": 1, "add_to_basket": 1, "checkout_page": 1, "checkout": 1},
        wants_order=True,
    ),
    _journey(
        "order_status",
        "ask where an order is: on a page, or an agent looks it up",
        {"order_status": 0.5, "look_up_order": 0.5},
    ),
    _journey("return_order", "send an order back", {"order_status": 1, "return_items": 1}),
    _journey("password_reset", "come back to an account whose password no longer works",
             {"home": 1, "reset_password": 1, "product": 1}),
    _journey("review", "read what others say about a product, and say something too",
             {"landing": 1, "reviews": 1, "write_review": 1}),
    _journey("ask", "ask other customers about a product", {"landing": 1, "ask": 1}),
    _journey("answer", "answer a question about something bought before", {"open_questions": 1, "answer": 1}),
    _journey(
        "community_browse",
        "spend the evening: look at products, read reviews, now and then write one",
        {"home": 1, "product": 2, "reviews": 2, "write_review": 0.1},
    ),
    _journey("pos_sale", "buy over the counter", {"pos_sale": 1}, wants_order=True),
    _journey("phone_order", "order through the call centre", {"search": 1, "product": 1, "phone_order": 1},
             wants_order=True),
    _journey(
        "deep_link",
        "scan a code or follow a link, look at the product behind it, perhaps buy",
        {
            "landing": 1, "product": 1, "add_to_basket": 0.1,
            "basket": 0.1, "checkout_page": 0.1, "checkout": 0.1,
        },
    ),
    _journey("prefetch", "a mail scanner opens a link before its reader does", {"landing": 1}),
    _journey(
        "comparison_shopping",
        "a shopping assistant compares products for somebody, and seldom buys",
        {"search": 1, "product": 8, "add_to_basket": 0.2, "checkout": 0.2},
    ),
    _journey("sync_feed", "a marketplace reads the whole range", {"feed": 10}),
    _journey("partner_sale", "a marketplace passes on an order", {"partner_order": 1}, wants_order=True),
    *(
        _journey(f"tpcw_{name}", f"follow the page chain of TPC-W's {name} mix", _seen(chain))
        for name, chain in PAGE_CHAINS.items()
    ),
)  # fmt: skip

# Mixes that others publish, as weights of journeys.
MIXES: dict[str, dict[str, float]] = {
    # Magento 2 performance toolkit, frontend pool, in percent of its threads: browsing 30, search 30,
    # abandoned baskets 28, checkouts of guests and of customers 4 each; wishlist and comparison, 4, browse.
    "magento-frontend": {"browse": 34, "search": 30, "abandon_basket": 28, "buy": 8},
    # Magento 2 performance toolkit, pool of the call centre: orders 70, returns 20, the customer grid 10. For
    # the latter two an agent looks orders up.
    "magento-call-centre": {"phone_order": 70, "order_status": 30},
    # WooCommerce's k6 suite for Black Friday: every visit is a checkout, 60 % by guests (signed_in: 40%).
    "woocommerce-checkout": {"buy": 100},
    # Views : adds : orders of OTTO's clickstream, 38.2 : 3.31 : 1 (12.9 million sessions, 2022), and 6.5
    # searches for 100 product views (Synerise, 2025), when a visit that looks around sees two products: per
    # order 2.31 abandoned baskets and (38.2 - 3.31) / 2 = 17.45 other visits; half the baskets begin so.
    "clickstream": {"browse": 1662, "search": 83, "abandon_basket": 231, "buy": 100},
}

JOURNEYS: dict[str, Journey] = {journey.name: journey for journey in _ALL}
ORDER_STEPS = frozenset({"checkout", "collect_checkout", "pos_sale", "phone_order", "partner_order"})
STEPS: tuple[str, ...] = tuple(dict.fromkeys(step.step for journey in _ALL for step in journey.steps))
