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
class WorkKind:
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


WORK_KINDS = {
    "home": WorkKind(7, 2, cache_ttl_s=5.0),
    "category": WorkKind(7, 1, cache_ttl_s=5.0),
    "search": WorkKind(6, 1, cache_ttl_s=10.0),
    "product": WorkKind(8, 1, cache_ttl_s=2.0),
    "landing": WorkKind(9, 2, cache_ttl_s=2.0),
    "new_basket": WorkKind(2, 2, page=False, priority=PURCHASE),
    "basket_add": WorkKind(10, 2, page=False, priority=PURCHASE),
    "basket": WorkKind(2, 1, priority=PURCHASE),
    "checkout": WorkKind(4, 1, priority=PURCHASE),
    "place_order": WorkKind(20, 4, per_line=8, page=False, priority=PURCHASE),
    "order": WorkKind(2, 1, priority=PURCHASE),
    "pos_sale": WorkKind(11, 4, per_line=8, page=False, priority=TILL),
    "phone_order": WorkKind(14, 4, per_line=8, page=False, priority=TILL),
    "replayed_sale": WorkKind(11, 4, per_line=8, page=False, priority=TILL),
    "partner_order": WorkKind(14, 4, per_line=8, page=False, priority=PURCHASE),
    "reviews": WorkKind(2, 1, cache_ttl_s=2.0),
    "recommendations": WorkKind(4, 1, cache_ttl_s=10.0),
    "review": WorkKind(3, 2, page=False),
    "question": WorkKind(4, 3, per_line=2, page=False),
    "open_questions": WorkKind(1, 1),
    "answer": WorkKind(5, 2, page=False),
    "sign_in_form": WorkKind(0, 0),
    "register": WorkKind(5, 4, page=False, priority=PURCHASE),
    "sign_in": WorkKind(3, 3, page=False, priority=PURCHASE),
    "ask_reset": WorkKind(3, 2, page=False, priority=PURCHASE),
    "set_password": WorkKind(8, 5, page=False, priority=PURCHASE),
    "history": WorkKind(2, 1, priority=PURCHASE),
    "pickup": WorkKind(6, 2, page=False, priority=TILL),
    "take_back": WorkKind(6, 3, per_line=5, page=False, priority=PURCHASE),
    "cancel": WorkKind(6, 3, per_line=5, page=False, priority=TILL),
    "feed": WorkKind(1, 1),
    "change_price": WorkKind(3, 2, page=False, priority=TILL),
    "change_stock": WorkKind(3, 2, page=False, priority=TILL),
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
        return WORK_KINDS[kind].priority if self.limit_factors else 0

    def limit(self, kind: str, queue_limit: int) -> int | None:
        return self.limit_factors[self.priority(kind)] * queue_limit if self.limit_factors else None

    def cache_ttl_s(self, kind: str) -> float | None:
        return WORK_KINDS[kind].cache_ttl_s if self.caches else None

    def queries_per_line(self, kind: str) -> int:
        return WORK_KINDS[kind].per_line if self.name == "in-house-2004" else 0

    def queries(self, kind: str, *, page: bool, lines: int = 1) -> int:
        """Queries of one piece of work; `page` adds those of the navigation around an HTML page."""
        work = WORK_KINDS[kind]
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
    for kind in WORK_KINDS:
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
