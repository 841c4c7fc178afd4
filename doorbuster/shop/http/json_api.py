"""The JSON API: the app's shop, the till, the call centre, and the ledger routes for audits."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from doorbuster.shop.domain.ledger import MAX_ORDERS
from doorbuster.shop.domain.orders import Checker, OrderRequest
from doorbuster.shop.domain.profiles import capacity_statement
from doorbuster.shop.domain.views import Home, ListingView, ProductView
from doorbuster.shop.http.json_io import answer, body_of, fingerprint_of, item_json, key_of, read
from doorbuster.shop.http.json_io import place as place_order
from doorbuster.shop.http.query_service import (
    QUERY_SERVICE,
    TIMING,
    channel_header,
    existing,
    page_number,
    search_words,
    session_of,
)
from doorbuster.shop.infrastructure.database import Session


async def home(request: web.Request) -> web.Response:
    return await read(request, "home", (), request.app[QUERY_SERVICE].design.home, _home)


async def category(request: web.Request) -> web.Response:
    front, slug, page = request.app[QUERY_SERVICE], request.match_info["slug"], page_number(request)
    return await read(
        request,
        "category",
        (slug, str(page)),
        lambda db: existing(front.design.category(db, slug, page)),
        _listing,
    )


async def search(request: web.Request) -> web.Response:
    front, words, page = request.app[QUERY_SERVICE], search_words(request), page_number(request)
    return await read(
        request,
        "search",
        (words, str(page)),
        lambda db: existing(front.design.search(db, words, page)),
        _listing,
    )


async def product(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    return await read(
        request,
        "product",
        (sku,),
        lambda db: front.design.product(db, sku),
        _product,
        omit=ProductView.without,
    )


async def landing(request: web.Request) -> web.Response:
    """The product behind a printed code."""
    front, code = request.app[QUERY_SERVICE], request.match_info["code"]
    return await read(
        request,
        "landing",
        (code,),
        lambda db: front.design.landing(db, code),
        _product,
        omit=ProductView.without,
    )


async def new_basket(request: web.Request) -> web.Response:
    """A guest's basket, empty; or the one of the account, with what is in it."""
    front, checker = request.app[QUERY_SERVICE], Checker({})
    channel = channel_header(request, checker) or "app"
    checker.finish()
    session = session_of(request)

    def make(db: Session) -> str:
        own = front.design.own_basket(db, session, channel) if session else None
        return own or front.design.new_basket(db, channel)

    basket = await front.ask("new_basket", make, request[TIMING])
    return answer({"basket": basket}, status=201, headers={"Location": f"/api/baskets/{basket}"})


async def basket(request: web.Request) -> web.Response:
    front, basket_id = request.app[QUERY_SERVICE], request.match_info["basket"]
    found = await front.ask("basket", lambda db: front.design.basket(db, basket_id), request[TIMING])
    return answer(found.as_json())


async def add(request: web.Request) -> web.Response:
    front, basket_id = request.app[QUERY_SERVICE], request.match_info["basket"]
    checker = Checker(await body_of(request))
    wanted = checker.wanted()
    checker.finish()
    filled = await front.ask(
        "basket_add", lambda db: front.design.add(db, basket_id, wanted), request[TIMING]
    )
    return answer(filled.as_json())


async def place(request: web.Request) -> web.Response:
    body = await body_of(request)
    checker = Checker(body)
    basket_id = checker.text("basket", 64)
    customer = checker.nested_customer()
    channel = channel_header(request, checker)
    store = checker.store()
    key = key_of(request, checker)
    checker.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=fingerprint_of(body),
        channel=channel,
        customer=customer,
        basket=basket_id,
        store=store,
        session=session_of(request),
    )
    return await place_order(request, "place_order", wanted)


async def order(request: web.Request) -> web.Response:
    front, ref = request.app[QUERY_SERVICE], request.match_info["ref"]
    found = await front.ask("order", lambda db: front.design.order(db, ref), request[TIMING])
    return answer(found.as_json())


async def pos_sale(request: web.Request) -> web.Response:
    """Goods sold on the spot: they leave the shop with the customer, so the warehouse has nothing to pick.

    `sold_at_unix_s` tells a sale that a till without a connection made by itself and sends afterwards.
    """
    body = await body_of(request)
    checker = Checker(body)
    till = checker.text("till", 40)
    lines = checker.lines()
    sold_at_unix_s = checker.moment("sold_at_unix_s")
    key = key_of(request, checker)
    checker.finish()
    sale = OrderRequest(
        key=key,
        fingerprint=fingerprint_of(body),
        channel="store",
        customer=None,
        operator=till,
        lines=lines,
        collected=True,
        sold_at_unix_s=sold_at_unix_s,
    )
    return await place_order(request, "pos_sale" if sold_at_unix_s is None else "replayed_sale", sale)


async def phone_order(request: web.Request) -> web.Response:
    body = await body_of(request)
    checker = Checker(body)
    agent = checker.text("agent", 40)
    customer = checker.nested_customer()
    lines = checker.lines()
    store = checker.store()
    key = key_of(request, checker)
    checker.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=fingerprint_of(body),
        channel="phone",
        customer=customer,
        operator=agent,
        lines=lines,
        store=store,
    )
    return await place_order(request, "phone_order", wanted)


async def ledger_orders(request: web.Request) -> web.Response:
    checker = Checker(dict(request.query))
    after = checker.number("after", 0, 2**62) if "after" in request.query else 0
    limit = checker.number("limit", 1, MAX_ORDERS) if "limit" in request.query else MAX_ORDERS
    checker.finish()
    return answer(await request.app[QUERY_SERVICE].ledger.orders(after=after, limit=limit))


async def ledger_stock(request: web.Request) -> web.Response:
    """Of every SKU that was sold, of all, or of one, whose row is empty if we do not sell it."""
    sku, everything = request.query.get("sku"), request.query.get("all") == "1"
    return answer({"stock": await request.app[QUERY_SERVICE].ledger.stock(everything=everything, sku=sku)})


async def ledger_range(request: web.Request) -> web.Response:
    return answer(await request.app[QUERY_SERVICE].ledger.range())


async def ledger_backlog(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    return answer(await front.ledger.backlog(rate_per_s=front.warehouse.rate_per_s))


async def ledger_capacity(request: web.Request) -> web.Response:
    return answer(capacity_statement(request.app[QUERY_SERVICE].settings))


async def health(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    return answer({"status": "ok", "profile": front.profile.name, "waiting": front.workers.waiting})


def _home(home: Home) -> dict[str, Any]:
    return {
        "notice": home.notice,
        "offers": [item_json(item) for item in home.offers],
        "new_in": [item_json(item) for item in home.new_in],
        "best_sellers": [item_json(item) for item in home.best_sellers],
        "voices": home.voices,
    }


def _listing(listing: ListingView) -> dict[str, Any]:
    return {
        "category": listing.category,
        "query": listing.query,
        "page": listing.page,
        "pages": listing.pages,
        "total": listing.total,
        "products": [item_json(item) for item in listing.items],
    }


def _product(product: ProductView) -> dict[str, Any]:
    return {
        **item_json(product.item),
        "category": {"slug": product.category_slug, "name": product.category_name},
        "description": product.description,
        "details": dict(product.details),
        "on_hand": product.on_hand,
        "reviews_shown": product.reviews,
        "questions": product.questions,
        "recommendations": [item_json(item) for item in product.recommendations],
    }
