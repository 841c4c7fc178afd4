"""Baskets, checkout and orders, as HTML and JSON; till sales, phone orders and partner orders."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from doorbuster.shop.domain.orders import FormParser, OrderRequest, WantedLine
from doorbuster.shop.domain.views import BasketView, OrderView
from doorbuster.shop.http.open_shop import (
    BASKET_COOKIE,
    OPEN_SHOP,
    QUANTITY_COOKIE,
    TIMING,
    OpenShop,
    basket_cookie,
    channel_header,
    session_cookie,
)
from doorbuster.shop.http.responses import (
    html_response,
    json_response,
    read_fields,
    see_other,
    show,
    with_navigation,
)
from doorbuster.shop.http_errors import BadRequest, EmptyBasket, NoBasket, Refusal
from doorbuster.shop.infrastructure.database import Session

_NO_BASKET = BasketView("", "web", ())


async def add_from_page(request: web.Request) -> web.Response:
    shop, fields = request.app[OPEN_SHOP], await read_fields(request)
    form = FormParser(fields)
    wanted = form.wanted()
    channel = channel_header(request, form) or form.channel(fields.get("channel")) or "web"
    form.finish()
    filled = await _add_to_current(shop, request, wanted, channel)
    if filled is None:
        basket = await shop.ask("new_basket", lambda db: shop.design.new_basket(db, channel), request[TIMING])
        filled = await _add(shop, request, lambda _: basket, wanted)
    response = see_other("/basket")
    response.set_cookie(BASKET_COOKIE, filled.basket, httponly=True, samesite="Lax", path="/")
    _set_quantity_cookie(response, filled)
    return response


async def basket_page(request: web.Request) -> web.Response:
    shop = request.app[OPEN_SHOP]
    navigation, basket = await with_navigation(
        shop, request, "basket", lambda db: _basket_or_none(shop, db, _current_basket(shop, request, db))
    )
    response = html_response(request, shop.pages.basket(navigation, basket))
    _set_quantity_cookie(response, basket)
    return response


async def checkout_form(request: web.Request) -> web.Response:
    return await _checkout_page(request, key=secrets.token_hex(16), values={}, refusal=None, status=200)


async def checkout(request: web.Request) -> web.Response:
    """Place the order, or show the form again with its problems and the values entered."""
    shop, fields = request.app[OPEN_SHOP], await read_fields(request)
    form = FormParser(fields)
    customer = form.customer()
    key = form.key(fields.get("idempotency_key"), "idempotency_key")
    channel = channel_header(request, form)
    store = form.store()
    try:
        form.finish()
    except BadRequest as refusal:
        return await _checkout_page(
            request, key=key or secrets.token_hex(16), values=fields, refusal=refusal, status=400
        )

    def place(db: Session) -> OrderView:
        basket = _current_basket(shop, request, db)
        if basket is None:
            raise EmptyBasket("there is nothing in your basket to order")
        wanted = OrderRequest(
            key=key,
            fingerprint=basket,
            channel=channel,
            customer=customer,
            basket=basket,
            store=store,
            session=session_cookie(request),
        )
        return shop.design.place(db, wanted)

    placed = await shop.ask("place_order", place, request[TIMING])
    response = see_other(f"/order/{placed.order_ref}")
    response.del_cookie(QUANTITY_COOKIE, path="/")
    return response


async def order(request: web.Request) -> web.Response:
    shop, ref = request.app[OPEN_SHOP], request.match_info["ref"]
    return await show(
        request,
        "order",
        (),
        lambda db: shop.design.order(db, ref),
        shop.pages.order,
        OrderView.as_json,
    )


async def new_basket(request: web.Request) -> web.Response:
    """An empty basket for guests; the account's own basket, with its contents, for customers signed in."""
    shop, form = request.app[OPEN_SHOP], FormParser({})
    channel = channel_header(request, form) or "app"
    form.finish()
    session = session_cookie(request)

    def make(db: Session) -> str:
        own = shop.design.open_account_basket(db, session, channel) if session else None
        return own or shop.design.new_basket(db, channel)

    basket = await shop.ask("new_basket", make, request[TIMING])
    return json_response({"basket": basket}, status=201, headers={"Location": f"/api/baskets/{basket}"})


async def basket(request: web.Request) -> web.Response:
    shop, basket_id = request.app[OPEN_SHOP], request.match_info["basket"]
    found = await shop.ask("basket", lambda db: shop.design.basket(db, basket_id), request[TIMING])
    return json_response(found.as_json())


async def add(request: web.Request) -> web.Response:
    shop, basket_id = request.app[OPEN_SHOP], request.match_info["basket"]
    form = FormParser(await read_fields(request))
    wanted = form.wanted()
    form.finish()
    return json_response((await _add(shop, request, lambda _: basket_id, wanted)).as_json())


async def place(request: web.Request) -> web.Response:
    body = await read_fields(request)
    form = FormParser(body)
    basket_id = form.text("basket", 64)
    customer = form.nested_customer()
    channel = channel_header(request, form)
    store = form.store()
    key = _key_header(request, form)
    form.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=_fingerprint(body),
        channel=channel,
        customer=customer,
        basket=basket_id,
        store=store,
        session=session_cookie(request),
    )
    return await _place(request, "place_order", wanted)


async def pos_sale(request: web.Request) -> web.Response:
    """Goods sold on the spot: the customer takes them along, so the warehouse has nothing to pick.

    With `sold_at_unix_s` it is a sale that the till made offline and sends afterwards.
    """
    return await _place_lines(request, "pos_sale", channel="store", operator="till")


async def phone_order(request: web.Request) -> web.Response:
    return await _place_lines(request, "phone_order", channel="phone", operator="agent")


async def partner_order(request: web.Request) -> web.Response:
    """An order that the partner pays by invoice."""
    return await _place_lines(request, "partner_order", channel="partner", operator="partner")


async def _place_lines(request: web.Request, kind: str, *, channel: str, operator: str) -> web.Response:
    """Place an order that states its lines; `operator` is the field that names who enters it."""
    body = await read_fields(request)
    form = FormParser(body)
    entered_by = form.text(operator, 40)
    customer = form.nested_customer() if channel != "store" else None
    lines = form.lines()
    store = form.store() if channel == "phone" else None
    sold_at_unix_s = form.moment("sold_at_unix_s") if channel == "store" else None
    key = _key_header(request, form)
    form.finish()
    wanted = OrderRequest(
        key=key,
        fingerprint=_fingerprint(body),
        channel=channel,
        customer=customer,
        operator=entered_by,
        lines=lines,
        collected=channel == "store",
        store=store,
        sold_at_unix_s=sold_at_unix_s,
    )
    return await _place(request, kind if sold_at_unix_s is None else "replayed_sale", wanted)


async def _place(request: web.Request, kind: str, wanted: OrderRequest) -> web.Response:
    shop = request.app[OPEN_SHOP]
    placed = await shop.ask(kind, lambda db: shop.design.place(db, wanted), request[TIMING])
    document = placed.as_json()
    shown = {name: document[name] for name in ("order_ref", "total_pence", "lines")}
    return json_response(shown, status=201, headers={"Location": f"/api/orders/{placed.order_ref}"})


def _key_header(request: web.Request, form: FormParser) -> str:
    return form.key(request.headers.get("Idempotency-Key"), "Idempotency-Key")


def _fingerprint(body: Any) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def _add_to_current(
    shop: OpenShop, request: web.Request, wanted: WantedLine, channel: str
) -> BasketView | None:
    """Add to the basket of the account when signed in, else to the one of the cookie; None without either."""
    session, cookie = session_cookie(request), basket_cookie(request)
    if session is None and cookie is None:
        return None

    def current(db: Session) -> str | None:
        return (session and shop.design.open_account_basket(db, session, channel)) or cookie

    try:
        return await _add(shop, request, current, wanted)
    except NoBasket:
        return None


async def _add(
    shop: OpenShop, request: web.Request, find: Callable[[Session], str | None], wanted: WantedLine
) -> BasketView:
    def add(db: Session) -> BasketView:
        basket = find(db)
        if basket is None:
            raise NoBasket("there is no basket yet")
        return shop.design.add(db, basket, wanted)

    return await shop.ask("basket_add", add, request[TIMING])


def _current_basket(shop: OpenShop, request: web.Request, db: Session) -> str | None:
    """The basket of the account when signed in, whichever channel filled it; else the one of the cookie."""
    session = session_cookie(request)
    return (session and shop.design.find_account_basket(db, session)) or basket_cookie(request)


def _set_quantity_cookie(response: web.Response, basket: BasketView) -> None:
    response.set_cookie(QUANTITY_COOKIE, str(basket.quantity), httponly=True, samesite="Lax", path="/")


async def _checkout_page(
    request: web.Request, *, key: str, values: dict[str, str], refusal: Refusal | None, status: int
) -> web.Response:
    shop = request.app[OPEN_SHOP]

    def read(db: Session) -> BasketView:
        basket_id = _current_basket(shop, request, db)
        basket = _NO_BASKET if basket_id is None else shop.design.checkout(db, basket_id)
        if not basket.lines:
            raise EmptyBasket("there is nothing in your basket to order")
        return basket

    navigation, basket = await with_navigation(shop, request, "checkout", read)
    body = shop.pages.checkout(navigation, basket, key=key, values=values, refusal=refusal)
    return html_response(request, body, status=status)


def _basket_or_none(shop: OpenShop, db: Session, basket: str | None) -> BasketView:
    if basket is None:
        return _NO_BASKET
    try:
        return shop.design.basket(db, basket)
    except NoBasket:
        return _NO_BASKET
