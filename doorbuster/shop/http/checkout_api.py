"""The HTML pages on which people buy: basket, checkout, order."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from aiohttp import web

from doorbuster.shop.domain.orders import Checker, OrderRequest, WantedLine
from doorbuster.shop.domain.views import BasketView, OrderView
from doorbuster.shop.http.catalogue_api import form_fields, html, see_other, with_navigation
from doorbuster.shop.http.query_service import (
    BASKET_COOKIE,
    QUANTITY_COOKIE,
    QUERY_SERVICE,
    TIMING,
    QueryService,
    basket_cookie,
    channel_header,
    session_of,
)
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import BadRequest, EmptyBasket, NoBasket, Refusal

_NO_BASKET = BasketView("", "web", ())


async def add(request: web.Request) -> web.Response:
    front, fields = request.app[QUERY_SERVICE], await form_fields(request)
    checker = Checker(fields)
    wanted = checker.wanted()
    channel = channel_header(request, checker) or checker.channel(fields.get("channel")) or "web"
    checker.finish()
    filled = await _add_to_present(front, request, wanted, channel)
    if filled is None:
        basket = await front.ask(
            "new_basket", lambda db: front.design.new_basket(db, channel), request[TIMING]
        )
        filled = await _add(front, request, lambda _: basket, wanted)
    response = see_other("/basket")
    response.set_cookie(BASKET_COOKIE, filled.basket, httponly=True, samesite="Lax", path="/")
    _tell_quantity(response, filled)
    return response


async def basket_page(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    navigation, basket = await with_navigation(
        front, request, "basket", lambda db: _basket_or_none(front, db, _present_basket(front, request, db))
    )
    response = html(request, front.pages.basket(navigation, basket))
    _tell_quantity(response, basket)
    return response


async def checkout_form(request: web.Request) -> web.Response:
    return await _checkout_page(request, key=secrets.token_hex(16), values={}, refusal=None, status=200)


async def checkout(request: web.Request) -> web.Response:
    """Place the order; what is wrong with the form is shown in the form, with what was typed kept."""
    front, fields = request.app[QUERY_SERVICE], await form_fields(request)
    checker = Checker(fields)
    customer = checker.customer()
    key = checker.key(fields.get("idempotency_key"), "idempotency_key")
    channel = channel_header(request, checker)
    store = checker.store()
    try:
        checker.finish()
    except BadRequest as refusal:
        return await _checkout_page(
            request, key=key or secrets.token_hex(16), values=fields, refusal=refusal, status=400
        )

    def place(db: Session) -> OrderView:
        basket = _present_basket(front, request, db)
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
        return front.design.place(db, wanted)

    placed = await front.ask("place_order", place, request[TIMING])
    response = see_other(f"/order/{placed.order_ref}")
    response.del_cookie(QUANTITY_COOKIE, path="/")
    return response


async def order_page(request: web.Request) -> web.Response:
    front, ref = request.app[QUERY_SERVICE], request.match_info["ref"]
    navigation, order = await with_navigation(front, request, "order", lambda db: front.design.order(db, ref))
    return html(request, front.pages.order(navigation, order))


async def _add_to_present(
    front: QueryService, request: web.Request, wanted: WantedLine, channel: str
) -> BasketView | None:
    """Into the basket that is there: of the account if somebody is signed in, else of the cookie, if any."""
    session, cookie = session_of(request), basket_cookie(request)
    if session is None and cookie is None:
        return None

    def present(db: Session) -> str | None:
        return (session and front.design.own_basket(db, session, channel)) or cookie

    try:
        return await _add(front, request, present, wanted)
    except NoBasket:
        return None


async def _add(
    front: QueryService, request: web.Request, find: Callable[[Session], str | None], wanted: WantedLine
) -> BasketView:
    def add(db: Session) -> BasketView:
        basket = find(db)
        if basket is None:
            raise NoBasket("there is no basket so far")
        return front.design.add(db, basket, wanted)

    return await front.ask("basket_add", add, request[TIMING])


def _present_basket(front: QueryService, request: web.Request, db: Session) -> str | None:
    """The basket of who is signed in, in whatever channel it was filled; of a guest, the cookie's."""
    session = session_of(request)
    return (session and front.design.basket_of(db, session)) or basket_cookie(request)


def _tell_quantity(response: web.Response, basket: BasketView) -> None:
    response.set_cookie(QUANTITY_COOKIE, str(basket.quantity), httponly=True, samesite="Lax", path="/")


async def _checkout_page(
    request: web.Request, *, key: str, values: dict[str, str], refusal: Refusal | None, status: int
) -> web.Response:
    front = request.app[QUERY_SERVICE]

    def read(db: Session) -> BasketView:
        basket_id = _present_basket(front, request, db)
        basket = _NO_BASKET if basket_id is None else front.design.checkout(db, basket_id)
        if not basket.lines:
            raise EmptyBasket("there is nothing in your basket to order")
        return basket

    navigation, basket = await with_navigation(front, request, "checkout", read)
    body = front.pages.checkout(navigation, basket, key=key, values=values, refusal=refusal)
    return html(request, body, status=status)


def _basket_or_none(front: QueryService, db: Session, basket: str | None) -> BasketView:
    if basket is None:
        return _NO_BASKET
    try:
        return front.design.basket(db, basket)
    except NoBasket:
        return _NO_BASKET
