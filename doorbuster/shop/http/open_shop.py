"""Answers queries from the cache, if the design has one, or on a database worker."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple, TypeVar

from aiohttp import web

from doorbuster.shop.designs.in_house_2004 import InHouse2004
from doorbuster.shop.designs.in_house_2004_service import InHouse2004Service
from doorbuster.shop.designs.read_model import ReadModel
from doorbuster.shop.designs.replatformed import Replatformed
from doorbuster.shop.designs.replatformed_service import ReplatformedService
from doorbuster.shop.domain.dependencies import Dependencies
from doorbuster.shop.domain.ledger import LedgerQueries
from doorbuster.shop.domain.orders import FormParser
from doorbuster.shop.domain.query_costs import PROFILES
from doorbuster.shop.domain.views import ListingView
from doorbuster.shop.domain.waiting_room import WaitingRoomQueue
from doorbuster.shop.domain.warehouse import Warehouse
from doorbuster.shop.http.pages import PageRenderer
from doorbuster.shop.http_errors import NotFound
from doorbuster.shop.infrastructure.busy_time import BusyTime
from doorbuster.shop.infrastructure.cache import PageCache
from doorbuster.shop.infrastructure.database import Database, Session
from doorbuster.shop.infrastructure.database_workers import DatabaseWorkers, Timing
from doorbuster.shop.infrastructure.process_meter import ProcessMeter
from doorbuster.shop.infrastructure.tracing import SpanExporter
from doorbuster.shop_settings import ShopSettings

BASKET_COOKIE = "basket"
QUANTITY_COOKIE = "basket_quantity"
SESSION_COOKIE = "session"
HASHING_THREADS = 2
OPTIONAL_DEPENDENCIES = ("recommendations", "reviews")
MAX_SEARCH_LENGTH = 100
_PLAIN_QUERY = frozenset({"page", "q"})  # any other parameter bypasses the cache
SELLING_KINDS = frozenset({"place_order", "pos_sale", "phone_order", "replayed_sale", "partner_order"})
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")

T = TypeVar("T")
OmitDependencies = Callable[[T, frozenset[str]], T]


class ListenerState(NamedTuple):
    """Connections open, their limit, and those that wait to be accepted."""

    open: int
    limit: int | None
    waiting: int


class OpenShop:
    """One open shop: its design, cache, ledger and warehouse, and the workers it may share with others.

    Closing one shop stops the workers for every shop that shares them.
    """

    def __init__(self, settings: ShopSettings, database: Database, workers: DatabaseWorkers) -> None:
        self.settings = settings
        self.workers = workers
        self.profile = PROFILES[settings.profile]
        self.pages = PageRenderer()
        self.dependencies = Dependencies(
            payment_time_s=settings.payment_time_s, payment_slots=settings.payment_slots
        )
        self.stock_lock_held, self.stock_lock_waiting = BusyTime(), BusyTime()
        self._stock_lock = threading.Lock()
        self.spans = SpanExporter(settings.otlp_endpoint) if settings.otlp_endpoint else None
        self.responding = BusyTime()
        self.responses: Counter[str] = Counter()
        self.process: ProcessMeter | None = None
        self.listener: Callable[[], ListenerState] | None = None
        self.read_model = ReadModel(database, lag_s=settings.sync_lag_s)
        self.design: InHouse2004 | Replatformed
        self.service: InHouse2004Service | ReplatformedService
        if settings.profile == "in-house-2004":
            self.design = InHouse2004(self.dependencies)
            self.service = InHouse2004Service(self.dependencies, notify=settings.notify)
        else:
            with closing(database.connect(read_only=True)) as connection:
                self.design = Replatformed(connection, self.read_model)
            self.service = ReplatformedService(self.read_model, notify=settings.notify)
        self._database = database
        self.ledger = LedgerQueries(database)
        self.warehouse = Warehouse(database, rate_per_s=settings.warehouse_rate_per_s)
        self.waiting_room = (
            WaitingRoomQueue(settings.waiting_room, time.monotonic) if settings.waiting_room else None
        )
        self._hashing = ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="shop-password")
        self._cache = PageCache(time.monotonic) if self.profile.caches else None

    def open(self) -> None:
        self.workers.start()
        self.warehouse.start()
        self.read_model.start()
        if self.spans is not None:
            self.spans.start()

    async def close(self) -> None:
        if self._cache is not None:
            await self._cache.close()
        await asyncio.to_thread(self.workers.stop)
        await asyncio.to_thread(self.warehouse.stop)
        await asyncio.to_thread(self.read_model.stop)
        if self.spans is not None:
            await asyncio.to_thread(self.spans.stop)
        self._hashing.shutdown()
        self.ledger.close()

    async def ask(self, kind: str, work: Callable[[Session], T], timing: Timing) -> T:
        """The result of `work` on a database worker; raises its errors, and Busy if the queue is full."""
        if not self.profile.waits_on_worker and not self.dependencies.all_healthy:
            began_s = time.monotonic()
            try:
                await self.dependencies.need(kind)
            finally:
                timing.services_s += time.monotonic() - began_s
        limit = self.profile.limit(kind, self.settings.queue_limit)
        priority = self.profile.priority(kind)
        if self.settings.stock_lock_time_s and kind in SELLING_KINDS:
            work = self._with_stock_lock(work)
        job = self.workers.submit(work, self._database, timing, priority=priority, limit=limit)
        answer: T = await asyncio.wrap_future(job)
        return answer

    def _with_stock_lock(self, work: Callable[[Session], T]) -> Callable[[Session], T]:
        """The work of an order, which holds the lock on the stock for its modelled time."""

        def locked(db: Session) -> T:
            held, waiting = self.stock_lock_held, self.stock_lock_waiting
            with db.holding(self._stock_lock, held, waiting, self.settings.stock_lock_time_s):
                return work(db)

        return locked

    async def hash(self, work: Callable[[], T]) -> T:
        """The result of `work` on a hashing thread, without a database worker; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._hashing, work)

    async def read(
        self,
        kind: str,
        key: tuple[str, ...],
        work: Callable[[Session], T],
        render: Callable[[T], bytes],
        request: web.Request,
        *,
        omit: OmitDependencies[T] | None = None,
    ) -> bytes:
        """The rendered result of read-only work, cached where the design caches this kind.

        `omit` removes from the view what the optional services cannot provide at the moment.
        """
        timing, cache_ttl_s = request[TIMING], self.profile.cache_ttl_s(kind)

        async def fetch() -> bytes:
            missing: frozenset[str] = frozenset()
            if omit is not None and not self.profile.waits_on_worker and not self.dependencies.all_healthy:
                missing = await self.dependencies.missing(OPTIONAL_DEPENDENCIES)
            view = await self.ask(kind, work, timing)
            return render(view if omit is None or not missing else omit(view, missing))

        if self._cache is None or cache_ttl_s is None:
            return await fetch()
        if request.query_string and not _PLAIN_QUERY.issuperset(request.query):
            timing.cache = "BYPASS"
            return await fetch()
        cached = self._cache.fresh((kind, *key))
        timing.cache = "MISS" if cached is None else "HIT"
        if cached is not None:
            return cached
        return await self._cache.fetch((kind, *key), fetch, ttl_s=cache_ttl_s)

    def invalidate_product(self, sku: str) -> None:
        if self._cache is not None:
            self._cache.drop(("product", "html", sku), ("product", "json", sku), ("reviews", "json", sku))


OPEN_SHOP = web.AppKey("shop", OpenShop)
TIMING = web.RequestKey("timing", Timing)


def page_number(request: web.Request) -> int:
    form = FormParser(dict(request.query))
    page = form.number("page", 1, 500) if "page" in request.query else 1
    form.finish()
    return page


def search_query(request: web.Request) -> str:
    """The normalised search query: lower case, single spaces; "" without one."""
    words = " ".join(request.query.get("q", "").lower().split())
    form = FormParser({"q": words})
    if words:
        form.text("q", MAX_SEARCH_LENGTH)
    form.finish()
    return words


def check_page_exists(listing: ListingView) -> ListingView:
    if listing.page > listing.pages:
        raise NotFound(f"there is no page {listing.page}; the last one is {listing.pages}")
    return listing


def channel_header(request: web.Request, form: FormParser) -> str | None:
    return form.channel(request.headers.get("X-Channel"))


def basket_cookie(request: web.Request) -> str | None:
    basket = request.cookies.get(BASKET_COOKIE, "")
    return basket if _TOKEN.fullmatch(basket) else None


def session_cookie(request: web.Request) -> str | None:
    """The session from the cookie or the bearer token; None for guests."""
    session = request.cookies.get(SESSION_COOKIE, "")
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind == "Bearer":
        session = token
    return session if _TOKEN.fullmatch(session) else None
