"""The built-in channels, journeys and steps, and the requests of each journey.

Visits per step are means of a typical customer. They are used by the estimates of `doorbuster check` and
define the step names that a threshold may use; at run time the locustfile decides.
"""

from __future__ import annotations

from typing import NamedTuple

from doorbuster.scenario.customers.page_chain import PAGE_CHAINS, MarkovChain
from doorbuster.scenario.customers.visit_chain import VisitChain


class StepVisits(NamedTuple):
    """One step of a journey and the mean number of times a customer takes it."""

    step: str
    visits: float


class Journey(NamedTuple):
    """One customer journey.

    `wants_order`: every customer tries to place an order. `steps`: in the usual order. `visit_chain`: the
    chain that the pages follow, if the scenario has one.
    """

    name: str
    wants_order: bool
    meaning: str
    steps: tuple[StepVisits, ...]
    visit_chain: VisitChain | None = None

    @property
    def chain(self) -> MarkovChain | None:
        """The page chain of a TPC-W journey; None for the others."""
        kind, _, mix = self.name.partition("_")
        return PAGE_CHAINS[mix] if kind == "tpcw" else None

    @property
    def requests(self) -> float:
        """Mean requests of one customer."""
        return sum(step.visits for step in self.steps)


def _journey(name: str, meaning: str, steps: dict[str, float], *, wants_order: bool = False) -> Journey:
    return Journey(name, wants_order, meaning, tuple(StepVisits(*item) for item in steps.items()))


# Steps for the pages of a TPC-W chain. The search and order inquiry forms are on the home page, the two
# administrator pages map to a product page, and a visit to the basket adds a product.
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


def _chain_steps(chain: MarkovChain) -> dict[str, float]:
    """Mean requests of one visit from home back to home, by step."""
    steps: dict[str, float] = {}
    for page, ratio in chain.stationary.items():
        steps[PAGE_STEPS[page]] = steps.get(PAGE_STEPS[page], 0.0) + ratio * chain.pages_between_homes
    return steps


_ALL = (
    _journey("browse", "browse products by category", {"home": 1, "category": 1, "product": 2}),
    _journey("search", "search for a product by name", {"home": 1, "search": 1, "product": 2}),
    _journey(
        "buy",
        "find a product and order it for delivery",
        {
            "home": 1, "category": 0.5, "search": 0.5, "product": 1,
            "add_to_basket": 1, "basket": 1, "checkout_page": 1, "checkout": 1,
        },
        wants_order=True,
    ),
    _journey(
        "abandon_basket",
        "fill a basket and leave, as 69 of 100 visitors with a basket do",
        {"home": 1, "category": 0.5, "search": 0.5, "product": 1, "add_to_basket": 1, "basket": 1},
    ),
    _journey(
        "click_and_collect",
        "order on the web and collect from a store: one customer in two channels",
        {
            "home": 1, "search": 1, "product": 1, "add_to_basket": 1,
            "basket": 1, "checkout_page": 1, "collect_checkout": 1, "pickup": 1,
        },
        wants_order=True,
    ),
    _journey(
        "flash_sale",
        "buy the product on sale and nothing else",
        {"product": 1, "add_to_basket": 1, "checkout_page": 1, "checkout": 1},
        wants_order=True,
    ),
    _journey(
        "order_status",
        "ask where an order is, on a page or by telephone",
        {"order_status": 0.5, "look_up_order": 0.5},
    ),
    _journey("return_order", "return an order", {"order_status": 1, "return_items": 1}),
    _journey("password_reset", "reset the password of an old account",
             {"home": 1, "reset_password": 1, "product": 1}),
    _journey("review", "read reviews of a product and write one",
             {"landing": 1, "reviews": 1, "write_review": 1}),
    _journey("ask", "ask other customers about a product", {"landing": 1, "ask": 1}),
    _journey("answer", "answer a question about something bought before", {"open_questions": 1, "answer": 1}),
    _journey(
        "community_browse",
        "browse products and reviews for a long time, occasionally write a review",
        {"home": 1, "product": 2, "reviews": 2, "write_review": 0.1},
    ),
    _journey("pos_sale", "buy at a till", {"pos_sale": 1}, wants_order=True),
    _journey("phone_order", "order through the call centre", {"search": 1, "product": 1, "phone_order": 1},
             wants_order=True),
    _journey(
        "deep_link",
        "follow a link or QR code to a product page, perhaps buy",
        {
            "landing": 1, "product": 1, "add_to_basket": 0.1,
            "basket": 0.1, "checkout_page": 0.1, "checkout": 0.1,
        },
    ),
    _journey("prefetch", "an e-mail security scanner opens a link before the reader does", {"landing": 1}),
    _journey(
        "comparison_shopping",
        "a shopping assistant compares products and seldom buys",
        {"search": 1, "product": 8, "add_to_basket": 0.2, "checkout": 0.2},
    ),
    _journey("sync_feed", "a marketplace reads the product feed", {"feed": 10}),
    _journey("partner_sale", "a marketplace forwards an order", {"partner_order": 1}, wants_order=True),
    *(
        _journey(f"tpcw_{name}", f"follow the page chain of TPC-W's {name} mix", _chain_steps(chain))
        for name, chain in PAGE_CHAINS.items()
    ),
)  # fmt: skip

# Published mixes, as weights of journeys.
MIXES: dict[str, dict[str, float]] = {
    # Magento 2 performance toolkit, frontend pool, in percent of its threads: browsing 30, search 30,
    # abandoned baskets 28, checkouts of guests and of customers 4 each; wishlist and comparison (4)
    # count as browsing.
    "magento-frontend": {"browse": 34, "search": 30, "abandon_basket": 28, "buy": 8},
    # Magento 2 performance toolkit, pool of the call centre: orders 70, returns 20, the customer grid 10. The
    # latter two are order look-ups.
    "magento-call-centre": {"phone_order": 70, "order_status": 30},
    # WooCommerce's k6 suite for Black Friday: every visit is a checkout, 60 % by guests (signed_in: 40%).
    "woocommerce-checkout": {"buy": 100},
    # Views : adds : orders of OTTO's clickstream, 38.2 : 3.31 : 1 (12.9 million sessions, 2022), and 6.5
    # searches per 100 product views (Synerise, 2025), with two product views per browsing visit: per order
    # 2.31 abandoned baskets and (38.2 - 3.31) / 2 = 17.45 other visits; half of the baskets start
    # with a search.
    "clickstream": {"browse": 1662, "search": 83, "abandon_basket": 231, "buy": 100},
}

JOURNEYS: dict[str, Journey] = {journey.name: journey for journey in _ALL}
ORDER_STEPS = frozenset({"checkout", "collect_checkout", "pos_sale", "phone_order", "partner_order"})
STEPS: tuple[str, ...] = tuple(dict.fromkeys(step.step for journey in _ALL for step in journey.steps))
