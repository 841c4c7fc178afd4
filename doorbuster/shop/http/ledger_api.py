"""Read-only routes for audits: the order ledger, stock, backlog, stated capacity and health."""

from __future__ import annotations

from aiohttp import web

from doorbuster.shop.domain.ledger import MAX_ORDERS
from doorbuster.shop.domain.orders import FormParser
from doorbuster.shop.domain.query_costs import capacity_statement
from doorbuster.shop.http.open_shop import OPEN_SHOP
from doorbuster.shop.http.responses import json_response


async def orders(request: web.Request) -> web.Response:
    form = FormParser(dict(request.query))
    after = form.number("after", 0, 2**62) if "after" in request.query else 0
    limit = form.number("limit", 1, MAX_ORDERS) if "limit" in request.query else MAX_ORDERS
    form.finish()
    return json_response(await request.app[OPEN_SHOP].ledger.orders(after=after, limit=limit))


async def stock(request: web.Request) -> web.Response:
    """Of every SKU that was sold, of all, or of one, whose row is empty if the shop does not sell it."""
    sku, everything = request.query.get("sku"), request.query.get("all") == "1"
    return json_response({"stock": await request.app[OPEN_SHOP].ledger.stock(everything=everything, sku=sku)})


async def catalogue(request: web.Request) -> web.Response:
    return json_response(await request.app[OPEN_SHOP].ledger.catalogue())


async def backlog(request: web.Request) -> web.Response:
    shop = request.app[OPEN_SHOP]
    return json_response(await shop.ledger.backlog(rate_per_s=shop.warehouse.rate_per_s))


async def capacity(request: web.Request) -> web.Response:
    return json_response(capacity_statement(request.app[OPEN_SHOP].settings))


async def health(request: web.Request) -> web.Response:
    shop = request.app[OPEN_SHOP]
    return json_response({"status": "ok", "profile": shop.profile.name, "waiting": shop.workers.waiting})
