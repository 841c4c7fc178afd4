"""How JSON comes in and goes out: bodies, keys, answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from doorbuster.shop.domain.orders import Checker, OrderRequest
from doorbuster.shop.domain.views import Item, OrderView
from doorbuster.shop.http.query_service import QUERY_SERVICE, TIMING, OmitParts
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import BadRequest, FieldProblem


def answer(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _json(orjson.dumps(document), status=status, headers=headers)


async def read(
    request: web.Request,
    kind: str,
    key: tuple[str, ...],
    work: Callable[[Session], Any],
    document: Callable[[Any], Any],
    *,
    omit: OmitParts | None = None,
) -> web.Response:
    """The answer to a question that only reads, from the cache where the design keeps this kind."""
    front = request.app[QUERY_SERVICE]
    body = await front.read(
        kind, ("json", *key), work, lambda view: orjson.dumps(document(view)), request, omit=omit
    )
    return _json(body)


async def place(request: web.Request, kind: str, wanted: OrderRequest) -> web.Response:
    front = request.app[QUERY_SERVICE]
    placed: OrderView = await front.ask(kind, lambda db: front.design.place(db, wanted), request[TIMING])
    document = placed.as_json()
    shown = {name: document[name] for name in ("order_ref", "total_pence", "lines")}
    return answer(shown, status=201, headers={"Location": f"/api/orders/{placed.order_ref}"})


async def body_of(request: web.Request) -> Any:
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise BadRequest((FieldProblem("body", f"must be JSON ({error})"),)) from error


def key_of(request: web.Request, checker: Checker) -> str:
    return checker.key(request.headers.get("Idempotency-Key"), "Idempotency-Key")


def fingerprint_of(body: Any) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def item_json(item: Item) -> dict[str, Any]:
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


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
