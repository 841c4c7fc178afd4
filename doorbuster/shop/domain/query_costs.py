"""The two designs side by side: what each kind of work costs, and so what the shop can serve.

Capacity is stated, not measured: a worker is held for `query_time_s` per query, so a shop of w workers
serves at most w / (queries x query_time_s) responses of a kind per second, whatever its processor could do.
Cached kinds are stated for a page that is not in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doorbuster.shop_settings import ShopSettings

BROWSE_KINDS = ("home", "category", "search", "product")
# The replatformed shop serves lower numbers first: a queue at a till blocks a store, a page can wait.
TILL, PURCHASE, PAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work: its queries in each design.

    per_line: queries of the in-house design for each line of the order (or each buyer notified).
    page: whether the navigation around an HTML page is read as well.
    cache_ttl_s: how long the replatformed design caches the result; None: not at all.
    """

    in_house: int
    replatformed: int
    per_line: int = 0
    page: bool = True
    priority: int = PAGE
    cache_ttl_s: float | None = None


WORK = {
    "home": Work(7, 2, cache_ttl_s=5.0),
    "category": Work(7, 1, cache_ttl_s=5.0),
    "search": Work(6, 1, cache_ttl_s=10.0),
    "product": Work(8, 1, cache_ttl_s=2.0),
    "landing": Work(9, 2, cache_ttl_s=2.0),
    "new_basket": Work(2, 2, page=False, priority=PURCHASE),
    "basket_add": Work(10, 2, page=False, priority=PURCHASE),
    "basket": Work(2, 1, priority=PURCHASE),
    "checkout": Work(4, 1, priority=PURCHASE),
    "place_order": Work(20, 4, per_line=8, page=False, priority=PURCHASE),
    "order": Work(2, 1, priority=PURCHASE),
    "pos_sale": Work(11, 4, per_line=8, page=False, priority=TILL),
    "phone_order": Work(14, 4, per_line=8, page=False, priority=TILL),
    "replayed_sale": Work(11, 4, per_line=8, page=False, priority=TILL),
    "partner_order": Work(14, 4, per_line=8, page=False, priority=PURCHASE),
    "reviews": Work(2, 1, cache_ttl_s=2.0),
    "recommendations": Work(4, 1, cache_ttl_s=10.0),
    "review": Work(3, 2, page=False),
    "question": Work(4, 3, per_line=2, page=False),
    "open_questions": Work(1, 1),
    "answer": Work(5, 2, page=False),
    "sign_in_form": Work(0, 0),
    "register": Work(5, 4, page=False, priority=PURCHASE),
    "sign_in": Work(3, 3, page=False, priority=PURCHASE),
    "ask_reset": Work(3, 2, page=False, priority=PURCHASE),
    "set_password": Work(8, 5, page=False, priority=PURCHASE),
    "history": Work(2, 1, priority=PURCHASE),
    "pickup": Work(6, 2, page=False, priority=TILL),
    "take_back": Work(6, 3, per_line=5, page=False, priority=PURCHASE),
    "cancel": Work(6, 3, per_line=5, page=False, priority=TILL),
    "feed": Work(1, 1),
    "change_price": Work(3, 2, page=False, priority=TILL),
    "change_stock": Work(3, 2, page=False, priority=TILL),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One design.

    limit_factors: by priority, the multiple of the queue limit that may wait; None: no limit.
    waits_on_worker: waiting for a service or a digest occupies a database worker.
    """

    name: str
    navigation_queries: int
    limit_factors: tuple[int, int, int] | None
    caches: bool
    continues_after_disconnect: bool
    waits_on_worker: bool

    def priority(self, kind: str) -> int:
        return WORK[kind].priority if self.limit_factors else 0

    def limit(self, kind: str, queue_limit: int) -> int | None:
        return self.limit_factors[self.priority(kind)] * queue_limit if self.limit_factors else None

    def cache_ttl_s(self, kind: str) -> float | None:
        return WORK[kind].cache_ttl_s if self.caches else None

    def queries_per_line(self, kind: str) -> int:
        return WORK[kind].per_line if self.name == "in-house-2004" else 0

    def queries(self, kind: str, *, page: bool, lines: int = 1) -> int:
        """Queries of one piece of work; `page` adds those of the navigation around an HTML page."""
        work = WORK[kind]
        own = work.in_house if self.name == "in-house-2004" else work.replatformed
        navigation = self.navigation_queries if page and work.page else 0
        return own + lines * self.queries_per_line(kind) + navigation


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="in-house-2004",
            navigation_queries=3,
            limit_factors=None,
            caches=False,
            continues_after_disconnect=True,
            waits_on_worker=True,
        ),
        Profile(
            name="replatformed",
            navigation_queries=0,
            limit_factors=(4, 2, 1),
            caches=True,
            continues_after_disconnect=False,
            waits_on_worker=False,
        ),
    )
}


def capacity_statement(settings: ShopSettings) -> dict[str, Any]:
    """The capacity of this shop for each kind alone; None with a query time of 0, which sets no limit."""
    profile = PROFILES[settings.profile]

    def per_s(queries: float) -> float | None:
        held_s = queries * settings.query_time_s
        return round(settings.workers / held_s, 3) if held_s > 0 else None

    kinds = []
    for kind in WORK:
        queries = profile.queries(kind, page=True)
        kinds.append(
            {
                "kind": kind,
                "queries": queries,
                "queries_per_further_line": profile.queries_per_line(kind),
                "cached_for_s": profile.cache_ttl_s(kind) or 0.0,
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
