"""The HTML pages on which people buy: basket, checkout, order."""

from __future__ import annotations

import secrets

from aiohttp import web

from doorbuster.shop.browse import form_fields, html, see_other, with_chrome
from doorbuster.shop.database import Session
from doorbuster.shop.front import (
    BASKET_COOKIE,
    FRONT,
    QUANTITY_COOKIE,
    TIMING,
    Front,
    basket_cookie,
    channel_header,
    session_of,
)
from doorbuster.shop.orders import Checker, OrderRequest, WantedLine
from doorbuster.shop.refusals import BadRequest, EmptyBasket, NoBasket, Refusal
from doorbuster.shop.views import Basket

_NO_BASKET = Basket("", "web", ())


async def add(request: web.Request) -> web.Response:
    front, fields = request.app[FRONT], await form_fields(request)
    checker = Checker(fields)
    wanted = checker.wanted()
    channel = channel_header(request, checker) or checker.channel(fields.get("channel")) or "web"
    checker.finish()
    basket, filled = basket_cookie(request), None
    if basket is not None:
        try:
            filled = await _add(front, request, basket, wanted)
        except NoBasket:
            basket = None
    if basket is None or filled is None:
        basket = await front.ask(
            "new_basket", lambda db: front.design.new_basket(db, channel), request[TIMING]
        )
        filled = await _add(front, request, basket, wanted)
    response = see_other("/basket")
    response.set_cookie(BASKET_COOKIE, basket, httponly=True, samesite="Lax", path="/")
    response.set_cookie(QUANTITY_COOKIE, str(filled.quantity), httponly=True, samesite="Lax", path="/")
    return response


async def basket_page(request: web.Request) -> web.Response:
    front = request.app[FRONT]
    chrome, basket = await with_chrome(
        front, request, "basket", lambda db: _basket_or_none(front, db, basket_cookie(request))
    )
    return html(request, front.pages.basket(chrome, basket))


async def checkout_form(request: web.Request) -> web.Response:
    return await _checkout_page(request, key=secrets.token_hex(16), values={}, refusal=None, status=200)


async def checkout(request: web.Request) -> web.Response:
    """Place the order; what is wrong with the form is shown in the form, with what was typed kept."""
    front, fields = request.app[FRONT], await form_fields(request)
    checker = Checker(fields)
    customer = checker.customer()
    key = checker.key(fields.get("idempotency_key"), "idempotency_key")
    channel = channel_header(request, checker)
    store = checker.store()
    basket = basket_cookie(request)
    try:
        checker.finish()
    except BadRequest as refusal:
        return await _checkout_page(
            request, key=key or secrets.token_hex(16), values=fields, refusal=refusal, status=400
        )
    if basket is None:
        raise EmptyBasket("there is nothing in your basket to order")
    wanted = OrderRequest(
        key=key,
        fingerprint=basket,
        channel=channel,
        customer=customer,
        basket=basket,
        store=store,
        session=session_of(request),
    )
    placed = await front.ask("place_order", lambda db: front.design.place(db, wanted), request[TIMING])
    response = see_other(f"/order/{placed.order_ref}")
    response.del_cookie(QUANTITY_COOKIE, path="/")
    return response


async def order_page(request: web.Request) -> web.Response:
    front, ref = request.app[FRONT], request.match_info["ref"]
    chrome, order = await with_chrome(front, request, "order", lambda db: front.design.order(db, ref))
    return html(request, front.pages.order(chrome, order))


async def _add(front: Front, request: web.Request, basket: str, wanted: WantedLine) -> Basket:
    return await front.ask("basket_add", lambda db: front.design.add(db, basket, wanted), request[TIMING])


async def _checkout_page(
    request: web.Request, *, key: str, values: dict[str, str], refusal: Refusal | None, status: int
) -> web.Response:
    front, basket_id = request.app[FRONT], basket_cookie(request)

    def read(db: Session) -> Basket:
        basket = _NO_BASKET if basket_id is None else front.design.checkout(db, basket_id)
        if not basket.lines:
            raise EmptyBasket("there is nothing in your basket to order")
        return basket

    chrome, basket = await with_chrome(front, request, "checkout", read)
    body = front.pages.checkout(chrome, basket, key=key, values=values, refusal=refusal)
    return html(request, body, status=status)


def _basket_or_none(front: Front, db: Session, basket: str | None) -> Basket:
    if basket is None:
        return _NO_BASKET
    try:
        return front.design.basket(db, basket)
    except NoBasket:
        return _NO_BASKET
