"""Reads forms and JSON bodies, and answers the same work as an HTML page or as a JSON document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from doorbuster.shop.domain.views import Navigation
from doorbuster.shop.http.open_shop import (
    OPEN_SHOP,
    QUANTITY_COOKIE,
    TIMING,
    OmitDependencies,
    OpenShop,
    basket_cookie,
)
from doorbuster.shop.http.pages import QUANTITY_PLACEHOLDER
from doorbuster.shop.http_errors import BadRequest, FieldProblem
from doorbuster.shop.infrastructure.database import Session

T = TypeVar("T")


def is_api(request: web.Request) -> bool:
    """Whether the route answers programs, not browsers."""
    return request.path.startswith(("/api/", "/ledger/", "/control/"))


async def read_fields(request: web.Request) -> Any:
    """The JSON body of an API request, the form of any other; of a repeated form field the last value."""
    if is_api(request):
        try:
            return orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise BadRequest((FieldProblem("body", f"must be JSON ({error})"),)) from error
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadRequest((FieldProblem("Content-Type", "must be application/x-www-form-urlencoded"),))
    try:
        return dict(parse_qsl((await request.read()).decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        problem = FieldProblem("form", "must be URL-encoded UTF-8 with at most 50 fields")
        raise BadRequest((problem,)) from error


async def show(
    request: web.Request,
    kind: str,
    key: tuple[str, ...],
    work: Callable[[Session], T],
    page: Callable[[Navigation, T], bytes],
    document: Callable[[T], Any],
    *,
    omit: OmitDependencies[T] | None = None,
) -> web.Response:
    """The result of read-only work as a page or a document, cached where the design caches this kind."""
    if is_api(request):
        return await show_document(request, kind, key, work, document, omit=omit)
    shop, basket = request.app[OPEN_SHOP], basket_cookie(request)

    def omit_from_page(read: tuple[Navigation, T], parts: frozenset[str]) -> tuple[Navigation, T]:
        assert omit is not None, "passed on only with a view to omit from"
        return read[0], omit(read[1], parts)

    body = await shop.read(
        kind,
        ("html", *key),
        lambda db: (shop.design.navigation(db, basket), work(db)),
        lambda read: page(*read),
        request,
        omit=omit and omit_from_page,
    )
    return html_response(request, body)


async def show_document(
    request: web.Request,
    kind: str,
    key: tuple[str, ...],
    work: Callable[[Session], T],
    document: Callable[[T], Any],
    *,
    omit: OmitDependencies[T] | None = None,
) -> web.Response:
    """The result of read-only work as JSON, cached where the design caches this kind."""
    shop = request.app[OPEN_SHOP]
    body = await shop.read(
        kind, ("json", *key), work, lambda view: orjson.dumps(document(view)), request, omit=omit
    )
    return _json(body)


def change_response(request: web.Request, document: Any, *, location: str, status: int = 201) -> web.Response:
    """The response to a change: the document for programs, for browsers a redirect to a page."""
    return json_response(document, status=status) if is_api(request) else see_other(location)


def json_response(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _json(orjson.dumps(document), status=status, headers=headers)


def see_other(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location})


def html_response(request: web.Request, body: bytes, *, status: int = 200) -> web.Response:
    """The page, with the visitor's basket quantity where the design left it open."""
    stated = request.cookies.get(QUANTITY_COOKIE, "")
    quantity = stated if stated.isascii() and stated.isdigit() and len(stated) < 5 else "0"
    return web.Response(
        status=status,
        body=body.replace(QUANTITY_PLACEHOLDER, quantity.encode()),
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )


async def with_navigation(
    shop: OpenShop, request: web.Request, kind: str, work: Callable[[Session], T]
) -> tuple[Navigation, T]:
    """Navigation and view of an uncached page, read by one worker."""
    basket = basket_cookie(request)
    return await shop.ask(kind, lambda db: (shop.design.navigation(db, basket), work(db)), request[TIMING])


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
