"""What customers come for: the known channels, journeys and steps, and how many requests each takes.

Visits per customer are means of a typical customer of that journey; they feed the estimates of
`doorbuster check` and say which step names a threshold may use. They steer nothing at run time.
"""

from __future__ import annotations

from typing import NamedTuple


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
    def requests(self) -> float:
        """Mean requests of one customer."""
        return sum(step.visits for step in self.steps)

    @property
    def thinks(self) -> float:
        """Mean number of think times of one customer: one between each two requests."""
        return max(0.0, self.requests - 1.0)


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
        "collect",
        "order on the web and fetch it from a store",
        {
            "home": 1, "search": 1, "product": 1, "add_to_basket": 1,
            "basket": 1, "checkout_page": 1, "checkout": 1,
        },
        wants_order=True,
    ),
    _journey(
        "order_status",
        "ask where an order is: on a page, or an agent looks it up",
        {"order_status": 0.5, "look_up_order": 0.5},
    ),
    _journey("till_sale", "buy over the counter", {"till_sale": 1}, wants_order=True),
    _journey("phone_order", "order through the call centre", {"search": 1, "product": 1, "phone_order": 1},
             wants_order=True),
    _journey(
        "scan",
        "scan a code, look at the product behind it, perhaps buy",
        {
            "landing": 1, "product": 1, "add_to_basket": 0.1,
            "basket": 0.1, "checkout_page": 0.1, "checkout": 0.1,
        },
    ),
)  # fmt: skip

JOURNEYS: dict[str, Journey] = {journey.name: journey for journey in _ALL}
STEPS: tuple[str, ...] = tuple(dict.fromkeys(step.step for journey in _ALL for step in journey.steps))
