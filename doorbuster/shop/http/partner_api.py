"""What partners use: the whole range page by page, and orders of theirs, settled by invoice."""

from __future__ import annotations

from aiohttp import web

from doorbuster.shop.domain.customer_service import FEED_ROWS
from doorbuster.shop.domain.orders import Checker, OrderRequest
from doorbuster.shop.http.json_io import answer, body_of, fingerprint_of, key_of, place
from doorbuster.shop.http.query_service import QUERY_SERVICE, TIMING


async def feed(request: web.Request) -> web.Response:
    """Products after the SKU `after`, with price and stock; `next` is what to ask next, None at the end."""
    front, checker = request.app[QUERY_SERVICE], Checker(dict(request.query))
    after = checker.text("after", 32) if "after" in request.query else ""
    limit = checker.number("limit", 1, FEED_ROWS) if "limit" in request.query else FEED_ROWS
    checker.finish()
    rows = await front.ask("feed", lambda db: front.design.feed(db, after, limit), request[TIMING])
    return answer({"products": rows, "next": rows[-1].sku if len(rows) == limit else None})


async def order(request: web.Request) -> web.Response:
    body = await body_of(request)
    checker = Checker(body)
    partner = checker.text("partner", 40)
    customer = checker.nested_customer()
    lines = checker.lines()
    key = key_of(request, checker)
    checker.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=fingerprint_of(body),
        channel="partner",
        customer=customer,
        operator=partner,
        lines=lines,
    )
    return await place(request, "partner_order", wanted)
