"""After the sale, and for the staff: collection, returns, cancelling, prices and stock.

Staff routes ask for no password, as the tills do: the shop listens on this machine only, unless told so.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from doorbuster.shop.domain.orders import STORES, Checker
from doorbuster.shop.domain.views import OrderView
from doorbuster.shop.http.catalogue_api import see_other
from doorbuster.shop.http.json_io import answer, body_of
from doorbuster.shop.http.query_service import QUERY_SERVICE, TIMING
from doorbuster.shop.infrastructure.database import Session

MAX_PRICE_PENCE = 10_000_000
MAX_IN_STOCK = 1_000_000


async def stores(request: web.Request) -> web.Response:  # noqa: ARG001  a handler
    return answer({"stores": STORES})


async def return_order(request: web.Request) -> web.Response:
    """The customer sends everything back; whoever knows the reference may, as on the order page."""
    front = request.app[QUERY_SERVICE]
    return await _changed(request, "take_back", front.design.take_back, status=201)


async def post_return_order(request: web.Request) -> web.Response:
    front, ref = request.app[QUERY_SERVICE], request.match_info["ref"]
    await front.ask("take_back", lambda db: front.design.take_back(db, ref), request[TIMING])
    return see_other(f"/order/{ref}")


async def pickup(request: web.Request) -> web.Response:
    return await _changed(request, "pickup", request.app[QUERY_SERVICE].design.pickup)


async def cancel(request: web.Request) -> web.Response:
    return await _changed(request, "cancel", request.app[QUERY_SERVICE].design.cancel)


async def change_price(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    checker = Checker(await body_of(request))
    price_pence = checker.number("price_pence", 1, MAX_PRICE_PENCE)
    checker.finish()
    await front.ask(
        "change_price", lambda db: front.design.change_price(db, sku, price_pence), request[TIMING]
    )
    front.forget_product(sku)
    return answer({"sku": sku, "price_pence": price_pence})


async def change_stock(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    checker = Checker(await body_of(request))
    on_hand = checker.number("on_hand", 0, MAX_IN_STOCK)
    checker.finish()
    await front.ask("change_stock", lambda db: front.design.change_stock(db, sku, on_hand), request[TIMING])
    front.forget_product(sku)
    return answer({"sku": sku, "on_hand": on_hand})


async def _changed(
    request: web.Request, kind: str, change: Callable[[Session, str], OrderView], *, status: int = 200
) -> web.Response:
    front, ref = request.app[QUERY_SERVICE], request.match_info["ref"]
    order = await front.ask(kind, lambda db: change(db, ref), request[TIMING])
    return answer(order.as_json(), status=status)
