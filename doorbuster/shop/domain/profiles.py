"""The two designs side by side: what each kind of page costs, and so what the shop can serve.

Capacity is stated, not measured: a worker is held for `query_time_s` per query, so a shop of w workers
serves at most w / (queries x query_time_s) answers of a kind per second, whatever its processor could do.
Cached kinds are stated for a page that is not in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doorbuster.shop_settings import ShopSettings

BROWSE_KINDS = ("home", "category", "search", "product")
# Who is served first when a profile tells them apart: a queue at a till blocks a shop, a page can be had
# a moment later.
PRIORITY = {"pos_sale": 0, "phone_order": 0, "basket_add": 1, "new_basket": 1, "basket": 1, "checkout": 1}
PRIORITY |= {"place_order": 1, "order": 1, "partner_order": 1, "replayed_sale": 0}
PRIORITY |= {"pickup": 0, "cancel": 0, "change_price": 0, "change_stock": 0, "take_back": 1}
PRIORITY |= {"register": 1, "sign_in": 1, "ask_reset": 1, "set_password": 1, "history": 1}
PAGE_PRIORITY = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Queries of one kind of work: on its own, for each line of an order, and for the page around it."""

    queries: int
    per_line: int = 0
    has_navigation: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """One design; `limit_factors` (by urgency) times the queue limit may wait, None: any number.

    `waits_on_worker`: whoever waits for a service or for a digest holds a database worker meanwhile.
    """

    name: str
    costs: dict[str, Cost]
    navigation_queries: int
    cache_ttl_s: dict[str, float]
    limit_factors: tuple[int, int, int] | None
    continues_after_disconnect: bool
    waits_on_worker: bool

    def priority(self, kind: str) -> int:
        return PRIORITY.get(kind, PAGE_PRIORITY) if self.limit_factors else 0

    def limit(self, kind: str, queue_limit: int) -> int | None:
        return self.limit_factors[self.priority(kind)] * queue_limit if self.limit_factors else None

    def queries(self, kind: str, *, page: bool, lines: int = 1) -> int:
        """Queries of one piece of work; `page` adds those of the navigation around an HTML page."""
        cost = self.costs[kind]
        navigation = self.navigation_queries if page and cost.has_navigation else 0
        return cost.queries + lines * cost.per_line + navigation


_IN_HOUSE = Profile(
    name="in-house-2004",
    costs={
        "home": Cost(7),
        "category": Cost(7),
        "search": Cost(6),
        "product": Cost(8),
        "landing": Cost(9),
        "new_basket": Cost(2, has_navigation=False),
        "basket_add": Cost(10, has_navigation=False),
        "basket": Cost(2),
        "checkout": Cost(4),
        "place_order": Cost(20, per_line=8, has_navigation=False),
        "order": Cost(2),
        "pos_sale": Cost(11, per_line=8, has_navigation=False),
        "phone_order": Cost(14, per_line=8, has_navigation=False),
        "replayed_sale": Cost(11, per_line=8, has_navigation=False),
        "partner_order": Cost(14, per_line=8, has_navigation=False),
        "reviews": Cost(2),
        "recommendations": Cost(4),
        "review": Cost(3, has_navigation=False),
        "question": Cost(4, per_line=2, has_navigation=False),  # a line is a buyer who is told
        "open_questions": Cost(1),
        "answer": Cost(5, has_navigation=False),
        "sign_in_form": Cost(0),
        "register": Cost(5, has_navigation=False),
        "sign_in": Cost(3, has_navigation=False),
        "ask_reset": Cost(3, has_navigation=False),
        "set_password": Cost(8, has_navigation=False),
        "history": Cost(2),
        "pickup": Cost(6, has_navigation=False),
        "take_back": Cost(6, per_line=5, has_navigation=False),
        "cancel": Cost(6, per_line=5, has_navigation=False),
        "feed": Cost(1),
        "change_price": Cost(3, has_navigation=False),
        "change_stock": Cost(3, has_navigation=False),
    },
    navigation_queries=3,
    cache_ttl_s={},
    limit_factors=None,
    continues_after_disconnect=True,
    waits_on_worker=True,
)
_REPLATFORMED = Profile(
    name="replatformed",
    costs={
        "home": Cost(2),
        "category": Cost(1),
        "search": Cost(1),
        "product": Cost(1),
        "landing": Cost(2),
        "new_basket": Cost(2, has_navigation=False),
        "basket_add": Cost(2, has_navigation=False),
        "basket": Cost(1),
        "checkout": Cost(1),
        "place_order": Cost(4, has_navigation=False),
        "order": Cost(1),
        "pos_sale": Cost(4, has_navigation=False),
        "phone_order": Cost(4, has_navigation=False),
        "replayed_sale": Cost(4, has_navigation=False),
        "partner_order": Cost(4, has_navigation=False),
        "reviews": Cost(1),
        "recommendations": Cost(1),
        "review": Cost(2, has_navigation=False),
        "question": Cost(3, has_navigation=False),
        "open_questions": Cost(1),
        "answer": Cost(2, has_navigation=False),
        "sign_in_form": Cost(0),
        "register": Cost(4, has_navigation=False),
        "sign_in": Cost(3, has_navigation=False),
        "ask_reset": Cost(2, has_navigation=False),
        "set_password": Cost(5, has_navigation=False),
        "history": Cost(1),
        "pickup": Cost(2, has_navigation=False),
        "take_back": Cost(3, has_navigation=False),
        "cancel": Cost(3, has_navigation=False),
        "feed": Cost(1),
        "change_price": Cost(2, has_navigation=False),
        "change_stock": Cost(2, has_navigation=False),
    },
    navigation_queries=0,
    cache_ttl_s={
        "home": 5.0,
        "category": 5.0,
        "search": 10.0,
        "product": 2.0,
        "landing": 2.0,
        "reviews": 2.0,
        "recommendations": 10.0,
    },
    limit_factors=(4, 2, 1),
    continues_after_disconnect=False,
    waits_on_worker=False,
)
PROFILES = {profile.name: profile for profile in (_IN_HOUSE, _REPLATFORMED)}


def capacity_statement(settings: ShopSettings) -> dict[str, Any]:
    """What this shop says it can serve, each kind alone; None where nothing is held (query time 0)."""
    profile = PROFILES[settings.profile]

    def per_s(queries: float) -> float | None:
        held_s = queries * settings.query_time_s
        return round(settings.workers / held_s, 3) if held_s > 0 else None

    kinds = []
    for kind, cost in profile.costs.items():
        queries = profile.queries(kind, page=True)
        kinds.append(
            {
                "kind": kind,
                "queries": queries,
                "queries_per_further_line": cost.per_line,
                "cached_for_s": profile.cache_ttl_s.get(kind, 0.0),
                "pages_per_s": per_s(queries),
            }
        )
    browse = sum(profile.queries(kind, page=True) for kind in BROWSE_KINDS) / len(BROWSE_KINDS)
    return {
        "profile": settings.profile,
        "workers": settings.workers,
        "query_time_s": settings.query_time_s,
        "browse_pages_per_s": per_s(browse),
        "orders_per_s": per_s(profile.queries("place_order", page=True)),
        "kinds": kinds,
    }
