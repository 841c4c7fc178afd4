"""After the sale, and for staff and partners: pickup, returns, cancellation, prices, stock and the feed.

Staff routes need no password, like the tills: by default the shop listens on this machine only.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from doorbuster.shop.domain.customer_service import FEED_ROWS
from doorbuster.shop.domain.orders import STORES, FormParser
from doorbuster.shop.domain.views import OrderView
from doorbuster.shop.http.open_shop import OPEN_SHOP, TIMING
from doorbuster.shop.http.responses import change_response, json_response, read_fields
from doorbuster.shop.infrastructure.database import Session

MAX_PRICE_PENCE = 10_000_000
MAX_IN_STOCK = 1_000_000


async def stores(request: web.Request) -> web.Response:  # noqa: ARG001  a handler
    return json_response({"stores": STORES})


async def return_order(request: web.Request) -> web.Response:
    """Return the whole order; knowing its reference is enough, as on the order page."""
    shop, ref = request.app[OPEN_SHOP], request.match_info["ref"]
    order = await shop.ask("take_back", lambda db: shop.service.take_back(db, ref), request[TIMING])
    return change_response(request, order.as_json(), location=f"/order/{ref}")


async def pickup(request: web.Request) -> web.Response:
    return await _changed(request, "pickup", request.app[OPEN_SHOP].service.pickup)


async def cancel(request: web.Request) -> web.Response:
    return await _changed(request, "cancel", request.app[OPEN_SHOP].service.cancel)


async def change_price(request: web.Request) -> web.Response:
    shop, sku = request.app[OPEN_SHOP], request.match_info["sku"]
    form = FormParser(await read_fields(request))
    price_pence = form.number("price_pence", 1, MAX_PRICE_PENCE)
    form.finish()
    await shop.ask(
        "change_price", lambda db: shop.service.change_price(db, sku, price_pence), request[TIMING]
    )
    shop.invalidate_product(sku)
    return json_response({"sku": sku, "price_pence": price_pence})


async def change_stock(request: web.Request) -> web.Response:
    shop, sku = request.app[OPEN_SHOP], request.match_info["sku"]
    form = FormParser(await read_fields(request))
    on_hand = form.number("on_hand", 0, MAX_IN_STOCK)
    form.finish()
    await shop.ask("change_stock", lambda db: shop.service.change_stock(db, sku, on_hand), request[TIMING])
    shop.invalidate_product(sku)
    return json_response({"sku": sku, "on_hand": on_hand})


async def feed(request: web.Request) -> web.Response:
    """Products after the SKU `after`, with price and stock; `next` is the next `after`, None at the end."""
    shop, form = request.app[OPEN_SHOP], FormParser(dict(request.query))
    after = form.text("after", 32) if "after" in request.query else ""
    limit = form.number("limit", 1, FEED_ROWS) if "limit" in request.query else FEED_ROWS
    form.finish()
    rows = await shop.ask("feed", lambda db: shop.service.feed(db, after, limit), request[TIMING])
    return json_response({"products": rows, "next": rows[-1].sku if len(rows) == limit else None})


async def _changed(
    request: web.Request, kind: str, change: Callable[[Session, str], OrderView]
) -> web.Response:
    shop, ref = request.app[OPEN_SHOP], request.match_info["ref"]
    order = await shop.ask(kind, lambda db: change(db, ref), request[TIMING])
    return json_response(order.as_json())
