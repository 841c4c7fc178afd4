"""The front of house: takes a question to a database worker, or to the cache if the design has one."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from doorbuster.shop.cache import PageCache
from doorbuster.shop.database import Database, Session
from doorbuster.shop.inhouse import InHouse2004
from doorbuster.shop.ledger import Ledger
from doorbuster.shop.orders import Checker, Design
from doorbuster.shop.pages import Pages
from doorbuster.shop.profiles import PROFILES
from doorbuster.shop.refusals import NotFound
from doorbuster.shop.replatformed import Replatformed
from doorbuster.shop.settings import ShopSettings
from doorbuster.shop.views import Listing
from doorbuster.shop.warehouse import Warehouse
from doorbuster.shop.workers import DatabaseWorkers, Timing

BASKET_COOKIE = "basket"
QUANTITY_COOKIE = "basket_quantity"
LONGEST_SEARCH = 100
_BASKET_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

T = TypeVar("T")


class Front:
    """One open shop: its design, workers, cache, ledger and warehouse."""

    def __init__(self, settings: ShopSettings, database: Database) -> None:
        self.settings = settings
        self.profile = PROFILES[settings.profile]
        self.pages = Pages()
        self.design = _design(settings, database)
        self.workers = DatabaseWorkers(database, count=settings.workers, query_time_s=settings.query_time_s)
        self.ledger = Ledger(database)
        self.warehouse = Warehouse(database, rate_per_s=settings.warehouse_rate_per_s)
        self._cache = PageCache(time.monotonic) if self.profile.keep_s else None

    def open(self) -> None:
        self.workers.start()
        self.warehouse.start()

    async def close(self) -> None:
        if self._cache is not None:
            await self._cache.close()
        await asyncio.to_thread(self.workers.stop)
        await asyncio.to_thread(self.warehouse.stop)
        self.ledger.close()

    async def ask(self, kind: str, work: Callable[[Session], T], timing: Timing) -> T:
        """The answer of a database worker; raises what `work` raises, Busy when too many wait already."""
        limit = self.profile.limit(kind, self.settings.queue_limit)
        job = self.workers.submit(work, timing, urgency=self.profile.urgency(kind), limit=limit)
        answer: T = await asyncio.wrap_future(job)
        return answer

    async def read(
        self,
        kind: str,
        key: tuple[str, ...],
        work: Callable[[Session], T],
        render: Callable[[T], bytes],
        timing: Timing,
    ) -> bytes:
        """The rendered answer to a question that only reads, kept where the design keeps this kind."""
        keep_s = self.profile.keep_s.get(kind)
        if self._cache is None or keep_s is None:
            return render(await self.ask(kind, work, timing))
        kept = self._cache.fresh((kind, *key))
        timing.cache = "MISS" if kept is None else "HIT"
        if kept is not None:
            return kept

        async def fetch() -> bytes:
            return render(await self.ask(kind, work, timing))

        return await self._cache.fetch((kind, *key), fetch, keep_s=keep_s)

    def forget_product(self, sku: str) -> None:
        if self._cache is not None:
            self._cache.drop(("product", "html", sku), ("product", "json", sku))


FRONT = web.AppKey("front", Front)
TIMING = web.RequestKey("timing", Timing)


def _design(settings: ShopSettings, database: Database) -> Design:
    if settings.profile == "in-house-2004":
        return InHouse2004()
    connection = database.connect(read_only=True)
    try:
        return Replatformed(connection)
    finally:
        connection.close()


def page_number(request: web.Request) -> int:
    checker = Checker(dict(request.query))
    page = checker.number("page", 1, 500) if "page" in request.query else 1
    checker.finish()
    return page


def search_words(request: web.Request) -> str:
    """The query as the shop looks for it: lower case, single spaces; "" when nothing was asked."""
    words = " ".join(request.query.get("q", "").lower().split())
    checker = Checker({"q": words})
    if words:
        checker.text("q", LONGEST_SEARCH)
    checker.finish()
    return words


def existing(listing: Listing) -> Listing:
    if listing.page > listing.pages:
        raise NotFound(f"there is no page {listing.page}; the last one is {listing.pages}")
    return listing


def channel_header(request: web.Request, checker: Checker) -> str | None:
    return checker.channel(request.headers.get("X-Channel"))


def basket_cookie(request: web.Request) -> str | None:
    basket = request.cookies.get(BASKET_COOKIE, "")
    return basket if _BASKET_ID.fullmatch(basket) else None
