"""The JSON API: the app's shop, the till, the call centre, and the ledger routes for audits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from doorbuster.shop.database import Session
from doorbuster.shop.front import (
    FRONT,
    TIMING,
    channel_header,
    existing,
    page_number,
    search_words,
)
from doorbuster.shop.ledger import MOST_ORDERS
from doorbuster.shop.orders import Checker, OrderRequest
from doorbuster.shop.profiles import capacity_statement
from doorbuster.shop.refusals import BadRequest, FieldProblem
from doorbuster.shop.views import Home, Item, Listing, Order, Product


async def home(request: web.Request) -> web.Response:
    return await _read(request, "home", ("json",), request.app[FRONT].design.home, _home)


async def category(request: web.Request) -> web.Response:
    front, slug, page = request.app[FRONT], request.match_info["slug"], page_number(request)
    return await _read(
        request,
        "category",
        ("json", slug, str(page)),
        lambda db: existing(front.design.category(db, slug, page)),
        _listing,
    )


async def search(request: web.Request) -> web.Response:
    front, words, page = request.app[FRONT], search_words(request), page_number(request)
    return await _read(
        request,
        "search",
        ("json", words, str(page)),
        lambda db: existing(front.design.search(db, words, page)),
        _listing,
    )


async def product(request: web.Request) -> web.Response:
    front, sku = request.app[FRONT], request.match_info["sku"]
    return await _read(request, "product", ("json", sku), lambda db: front.design.product(db, sku), _product)


async def new_basket(request: web.Request) -> web.Response:
    front, checker = request.app[FRONT], Checker({})
    channel = channel_header(request, checker) or "app"
    checker.finish()
    basket = await front.ask("new_basket", lambda db: front.design.new_basket(db, channel), request[TIMING])
    return answer({"basket": basket}, status=201, headers={"Location": f"/api/baskets/{basket}"})


async def basket(request: web.Request) -> web.Response:
    front, basket_id = request.app[FRONT], request.match_info["basket"]
    found = await front.ask("basket", lambda db: front.design.basket(db, basket_id), request[TIMING])
    return answer(found.as_json())


async def add(request: web.Request) -> web.Response:
    front, basket_id = request.app[FRONT], request.match_info["basket"]
    checker = Checker(await _body(request))
    wanted = checker.wanted()
    checker.finish()
    filled = await front.ask(
        "basket_add", lambda db: front.design.add(db, basket_id, wanted), request[TIMING]
    )
    return answer(filled.as_json())


async def place(request: web.Request) -> web.Response:
    body = await _body(request)
    checker = Checker(body)
    basket_id = checker.text("basket", 64)
    customer = checker.nested_customer()
    channel = channel_header(request, checker)
    key = _key(request, checker)
    checker.finish()
    wanted = OrderRequest(
        key=key, fingerprint=_fingerprint(body), channel=channel, customer=customer, basket=basket_id
    )
    return await _place(request, "place_order", wanted)


async def order(request: web.Request) -> web.Response:
    front, ref = request.app[FRONT], request.match_info["ref"]
    found = await front.ask("order", lambda db: front.design.order(db, ref), request[TIMING])
    return answer(found.as_json())


async def till_sale(request: web.Request) -> web.Response:
    """Goods sold on the spot: they leave the shop with the customer, so the warehouse has nothing to pick."""
    body = await _body(request)
    checker = Checker(body)
    till = checker.text("till", 40)
    lines = checker.lines()
    key = _key(request, checker)
    checker.finish()
    sale = OrderRequest(
        key=key,
        fingerprint=_fingerprint(body),
        channel="store",
        customer=None,
        operator=till,
        lines=lines,
        handed_over=True,
    )
    return await _place(request, "till_sale", sale)


async def phone_order(request: web.Request) -> web.Response:
    body = await _body(request)
    checker = Checker(body)
    agent = checker.text("agent", 40)
    customer = checker.nested_customer()
    lines = checker.lines()
    key = _key(request, checker)
    checker.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=_fingerprint(body),
        channel="phone",
        customer=customer,
        operator=agent,
        lines=lines,
    )
    return await _place(request, "phone_order", wanted)


async def ledger_orders(request: web.Request) -> web.Response:
    checker = Checker(dict(request.query))
    after = checker.number("after", 0, 2**62) if "after" in request.query else 0
    limit = checker.number("limit", 1, MOST_ORDERS) if "limit" in request.query else MOST_ORDERS
    checker.finish()
    return answer(await request.app[FRONT].ledger.orders(after=after, limit=limit))


async def ledger_stock(request: web.Request) -> web.Response:
    everything = request.query.get("all") == "1"
    return answer({"stock": await request.app[FRONT].ledger.stock(everything=everything)})


async def ledger_backlog(request: web.Request) -> web.Response:
    front = request.app[FRONT]
    return answer(await front.ledger.backlog(rate_per_s=front.warehouse.rate_per_s))


async def ledger_capacity(request: web.Request) -> web.Response:
    return answer(capacity_statement(request.app[FRONT].settings))


async def health(request: web.Request) -> web.Response:
    front = request.app[FRONT]
    return answer({"status": "ok", "profile": front.profile.name, "waiting": front.workers.waiting})


def answer(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _json(orjson.dumps(document), status=status, headers=headers)


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def _read(
    request: web.Request,
    kind: str,
    key: tuple[str, ...],
    work: Callable[[Session], Any],
    document: Callable[[Any], dict[str, Any]],
) -> web.Response:
    front = request.app[FRONT]
    body = await front.read(kind, key, work, lambda view: orjson.dumps(document(view)), request[TIMING])
    return _json(body)


async def _place(request: web.Request, kind: str, wanted: OrderRequest) -> web.Response:
    front = request.app[FRONT]
    placed: Order = await front.ask(kind, lambda db: front.design.place(db, wanted), request[TIMING])
    document = placed.as_json()
    shown = {name: document[name] for name in ("order_ref", "total_pence", "lines")}
    return answer(shown, status=201, headers={"Location": f"/api/orders/{placed.order_ref}"})


async def _body(request: web.Request) -> Any:
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise BadRequest((FieldProblem("body", f"must be JSON ({error})"),)) from error


def _key(request: web.Request, checker: Checker) -> str:
    return checker.key(request.headers.get("Idempotency-Key"), "Idempotency-Key")


def _fingerprint(body: Any) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _home(home: Home) -> dict[str, Any]:
    return {
        "notice": home.notice,
        "offers": [_item(item) for item in home.offers],
        "new_in": [_item(item) for item in home.new_in],
        "best_sellers": [_item(item) for item in home.best_sellers],
        "voices": home.voices,
    }


def _listing(listing: Listing) -> dict[str, Any]:
    return {
        "category": listing.category,
        "query": listing.query,
        "page": listing.page,
        "pages": listing.pages,
        "total": listing.total,
        "products": [_item(item) for item in listing.items],
    }


def _product(product: Product) -> dict[str, Any]:
    return {
        **_item(product.item),
        "category": {"slug": product.category_slug, "name": product.category_name},
        "description": product.description,
        "details": dict(product.details),
        "on_hand": product.on_hand,
        "reviews_shown": product.reviews,
        "questions": product.questions,
        "recommendations": [_item(item) for item in product.recommendations],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "sku": item.sku,
        "name": item.name,
        "tagline": item.tagline,
        "price_pence": item.price_pence,
        "was_pence": item.was_pence,
        "rating": item.rating,
        "review_count": item.reviews,
        "availability": "in_stock" if item.available else "sold_out",
    }
