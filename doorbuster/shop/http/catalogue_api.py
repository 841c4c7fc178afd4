"""The HTML pages for looking around: home, category, search, product, landing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from doorbuster.shop.domain.views import Navigation, ProductView
from doorbuster.shop.http.pages import QUANTITY_PLACE
from doorbuster.shop.http.query_service import (
    QUANTITY_COOKIE,
    QUERY_SERVICE,
    TIMING,
    OmitParts,
    QueryService,
    basket_cookie,
    existing,
    page_number,
    search_words,
)
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import BadRequest, FieldProblem

T = TypeVar("T")


async def home(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    return await _page(request, "home", ("html",), front.design.home, front.pages.home)


async def category(request: web.Request) -> web.Response:
    front, slug, page = request.app[QUERY_SERVICE], request.match_info["slug"], page_number(request)
    return await _page(
        request,
        "category",
        ("html", slug, str(page)),
        lambda db: existing(front.design.category(db, slug, page)),
        front.pages.listing,
    )


async def search(request: web.Request) -> web.Response:
    front, words, page = request.app[QUERY_SERVICE], search_words(request), page_number(request)
    return await _page(
        request,
        "search",
        ("html", words, str(page)),
        lambda db: existing(front.design.search(db, words, page)),
        front.pages.listing,
    )


async def product(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    return await _page(
        request,
        "product",
        ("html", sku),
        lambda db: front.design.product(db, sku),
        front.pages.product,
        omit=_omit_product_parts,
    )


async def landing(request: web.Request) -> web.Response:
    front, code = request.app[QUERY_SERVICE], request.match_info["code"]
    return await _page(
        request,
        "landing",
        ("html", code),
        lambda db: front.design.landing(db, code),
        lambda navigation, view: front.pages.product(navigation, view, code=code),
        omit=_omit_product_parts,
    )


async def form_fields(request: web.Request) -> dict[str, str]:
    """The fields of a posted form; of a repeated field the last value."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadRequest((FieldProblem("Content-Type", "must be application/x-www-form-urlencoded"),))
    try:
        return dict(parse_qsl((await request.read()).decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise BadRequest(
            (FieldProblem("form", "must be URL-encoded UTF-8 with at most 50 fields"),)
        ) from error


def see_other(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location})


def html(request: web.Request, body: bytes, *, status: int = 200) -> web.Response:
    """The page with this visitor's basket quantity put in where the design left it open."""
    told = request.cookies.get(QUANTITY_COOKIE, "")
    quantity = told if told.isascii() and told.isdigit() and len(told) < 5 else "0"
    return web.Response(
        status=status,
        body=body.replace(QUANTITY_PLACE, quantity.encode()),
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )


async def with_navigation(
    front: QueryService, request: web.Request, kind: str, work: Callable[[Session], T]
) -> tuple[Navigation, T]:
    """Navigation and view of a page that is never kept, read by one worker."""
    basket = basket_cookie(request)
    return await front.ask(kind, lambda db: (front.design.navigation(db, basket), work(db)), request[TIMING])


async def _page(
    request: web.Request,
    kind: str,
    key: tuple[str, ...],
    work: Callable[[Session], T],
    render: Callable[[Navigation, T], bytes],
    *,
    omit: OmitParts | None = None,
) -> web.Response:
    front, basket = request.app[QUERY_SERVICE], basket_cookie(request)
    body = await front.read(
        kind,
        key,
        lambda db: (front.design.navigation(db, basket), work(db)),
        lambda read: render(*read),
        request,
        omit=omit,
    )
    return html(request, body)


def _omit_product_parts(
    read: tuple[Navigation, ProductView], parts: frozenset[str]
) -> tuple[Navigation, ProductView]:
    return read[0], read[1].without(parts)
