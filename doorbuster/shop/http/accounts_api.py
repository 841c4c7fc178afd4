"""Registration, sign-in, new passwords and the order history, as HTML and JSON.

Password digests take processor time. The in-house shop computes them on the database worker that looked up
the account; the replatformed shop uses separate threads, so that sign-ins occupy no database workers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from doorbuster.shop.domain.credentials import hash_password, password_matches
from doorbuster.shop.domain.customer_service import Account
from doorbuster.shop.domain.orders import EMAIL, FormParser
from doorbuster.shop.http.open_shop import (
    OPEN_SHOP,
    SESSION_COOKIE,
    TIMING,
    OpenShop,
    basket_cookie,
    session_cookie,
)
from doorbuster.shop.http.responses import (
    change_response,
    html_response,
    is_api,
    json_response,
    read_fields,
    show,
    with_navigation,
)
from doorbuster.shop.http_errors import PasswordExpired, SignedOut, WrongPassword
from doorbuster.shop.infrastructure.database import Session

MAX_PASSWORD_LENGTH = 200
MIN_PASSWORD_LENGTH = 8

T = TypeVar("T")
U = TypeVar("U")


class SignedIn(NamedTuple):
    """A customer who has just signed in."""

    email: str
    session: str
    basket: str | None  # the account's, with the guest's lines merged; None if there was no guest basket


async def sign_in_page(request: web.Request) -> web.Response:
    return await _sign_in_page(request, code=None)


async def history(request: web.Request) -> web.Response:
    shop, session = request.app[OPEN_SHOP], session_cookie(request)
    if session is None:
        raise SignedOut("sign in to see your orders")
    return await show(
        request,
        "history",
        (),
        lambda db: shop.service.history(db, session),
        shop.pages.account,
        lambda orders: {"orders": orders},
    )


async def register(request: web.Request) -> web.Response:
    shop, fields = request.app[OPEN_SHOP], await read_fields(request)
    form = FormParser(fields)
    name, email = form.text("name", 100), form.text("email", 254, EMAIL)
    basket = _guest_basket(request, fields)
    password = _new_password(form)

    def write(db: Session, account: Account) -> SignedIn:
        shop.service.add_account(db, account)
        return _open_session(shop, db, email, basket)

    signed_in = await _hashed(
        shop,
        request,
        "register",
        None,
        lambda _: Account(email, name, hash_password(password)),
        write,
    )
    return _signed_in_response(request, signed_in)


async def sign_in(request: web.Request) -> web.Response:
    shop, fields = request.app[OPEN_SHOP], await read_fields(request)
    form = FormParser(fields)
    email, password = form.text("email", 254), form.text("password", MAX_PASSWORD_LENGTH)
    basket = _guest_basket(request, fields)
    form.finish()

    def prove(account: Account | None) -> str:
        if account is not None and account.expired:
            raise PasswordExpired("we have a new shop; please set a new password for your account")
        if account is None or not password_matches(password, account.secret):
            raise WrongPassword("try again, register, or set a new password")
        return account.email

    signed_in = await _hashed(
        shop,
        request,
        "sign_in",
        lambda db: shop.service.account(db, email),
        prove,
        lambda db, proved: _open_session(shop, db, proved, basket),
    )
    return _signed_in_response(request, signed_in)


async def ask_reset(request: web.Request) -> web.Response:
    """The response carries the code that a real shop would send by mail."""
    shop, form = request.app[OPEN_SHOP], FormParser(await read_fields(request))
    email = form.text("email", 254, EMAIL)
    form.finish()
    code = await shop.ask("ask_reset", lambda db: shop.service.ask_reset(db, email), request[TIMING])
    return (
        json_response({"code": code}, status=202)
        if is_api(request)
        else await _sign_in_page(request, code=code)
    )


async def set_password(request: web.Request) -> web.Response:
    shop, fields = request.app[OPEN_SHOP], await read_fields(request)
    form = FormParser(fields)
    code, basket = form.text("code", 64), _guest_basket(request, fields)
    password = _new_password(form)

    def write(db: Session, secret: Any) -> SignedIn:
        return _open_session(shop, db, shop.service.set_password(db, code, secret), basket)

    signed_in = await _hashed(
        shop,
        request,
        "set_password",
        lambda db: shop.service.reset_for(db, code),
        lambda _: hash_password(password),
        write,
    )
    return _signed_in_response(request, signed_in)


async def _sign_in_page(request: web.Request, *, code: str | None) -> web.Response:
    shop = request.app[OPEN_SHOP]
    navigation, _ = await with_navigation(shop, request, "sign_in_form", lambda _db: None)
    return html_response(request, shop.pages.sign_in(navigation, code=code))


async def _hashed(
    shop: OpenShop,
    request: web.Request,
    kind: str,
    look: Callable[[Session], T] | None,
    digest: Callable[[T | None], U],
    write: Callable[[Session, U], SignedIn],
) -> SignedIn:
    """Look up, compute a digest and write: on one worker, or with the digest on a thread of its own."""
    timing = request[TIMING]
    if shop.profile.waits_on_worker:
        return await shop.ask(kind, lambda db: write(db, digest(None if look is None else look(db))), timing)
    found = None if look is None else await shop.ask(kind, look, timing)
    digested = await shop.hash(lambda: digest(found))
    return await shop.ask(kind, lambda db: write(db, digested), timing)


def _guest_basket(request: web.Request, fields: Any) -> str | None:
    """The basket of a guest: an app sends it as a field, a browser as a cookie."""
    named = fields.get("basket") if isinstance(fields, dict) else None
    return named if isinstance(named, str) else basket_cookie(request)


def _open_session(shop: OpenShop, db: Session, email: str, basket: str | None) -> SignedIn:
    session = shop.service.open_session(db, email)
    own = None if basket is None else shop.design.merge_guest_basket(db, email, basket)
    return SignedIn(email, session, own)


def _new_password(form: FormParser) -> str:
    password = form.text("password", MAX_PASSWORD_LENGTH)
    if 0 < len(password) < MIN_PASSWORD_LENGTH:
        form.wrong("password", f"must be at least {MIN_PASSWORD_LENGTH} characters (got {len(password)})")
    form.finish()
    return password


def _signed_in_response(request: web.Request, signed_in: SignedIn) -> web.Response:
    document = {"email": signed_in.email, "token": signed_in.session}
    if signed_in.basket is not None:
        document["basket"] = signed_in.basket
    response = change_response(request, document, location="/account")
    if not is_api(request):
        response.set_cookie(SESSION_COOKIE, signed_in.session, httponly=True, samesite="Lax", path="/")
    return response
