"""Accounts on pages and in JSON: register, sign in, set a new password, look at one's orders.

Digests take processor time. The in-house shop spends it on the database worker that looked the account up;
the replatformed shop on threads of its own, so that a storm of sign-ins takes no worker from anybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from doorbuster.shop.domain.credentials import fits, new_secret
from doorbuster.shop.domain.customer_service import Account
from doorbuster.shop.domain.orders import EMAIL, Checker
from doorbuster.shop.http.catalogue_api import form_fields, html, see_other, with_navigation
from doorbuster.shop.http.json_io import answer, body_of
from doorbuster.shop.http.query_service import (
    QUERY_SERVICE,
    SESSION_COOKIE,
    TIMING,
    QueryService,
    basket_cookie,
    session_of,
)
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import PasswordExpired, SignedOut, WrongPassword

LONGEST_PASSWORD = 200
SHORTEST_PASSWORD = 8

T = TypeVar("T")
U = TypeVar("U")


class SignedIn(NamedTuple):
    """Who has just proved who they are."""

    email: str
    session: str
    basket: str | None  # the account's, with what a guest took along; None if there was nothing to take


# ---- JSON


async def register(request: web.Request) -> web.Response:
    return _token(await _register(request, await body_of(request)))


async def sign_in(request: web.Request) -> web.Response:
    return _token(await _sign_in(request, await body_of(request)))


async def ask_reset(request: web.Request) -> web.Response:
    """The code stands in the answer because nobody reads the mail it would be in."""
    return answer({"code": await _ask_reset(request, await body_of(request))}, status=202)


async def set_password(request: web.Request) -> web.Response:
    return _token(await _set_password(request, await body_of(request)))


async def history(request: web.Request) -> web.Response:
    front, session = request.app[QUERY_SERVICE], _session(request)
    orders = await front.ask("history", lambda db: front.design.history(db, session), request[TIMING])
    return answer({"orders": orders})


# ---- pages


async def sign_in_page(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    navigation, _ = await with_navigation(front, request, "sign_in_form", lambda _db: None)
    return html(request, front.pages.sign_in(navigation, code=None))


async def account_page(request: web.Request) -> web.Response:
    front, session = request.app[QUERY_SERVICE], _session(request)
    navigation, orders = await with_navigation(
        front, request, "history", lambda db: front.design.history(db, session)
    )
    return html(request, front.pages.account(navigation, orders))


async def post_register(request: web.Request) -> web.Response:
    return _welcome(await _register(request, await form_fields(request)))


async def post_sign_in(request: web.Request) -> web.Response:
    return _welcome(await _sign_in(request, await form_fields(request)))


async def post_reset(request: web.Request) -> web.Response:
    """The page shows the form that the link in the mail would lead to."""
    code = await _ask_reset(request, await form_fields(request))
    front = request.app[QUERY_SERVICE]
    navigation, _ = await with_navigation(front, request, "sign_in_form", lambda _db: None)
    return html(request, front.pages.sign_in(navigation, code=code))


async def post_password(request: web.Request) -> web.Response:
    return _welcome(await _set_password(request, await form_fields(request)))


# ---- both


async def _register(request: web.Request, fields: Any) -> SignedIn:
    front, checker = request.app[QUERY_SERVICE], Checker(fields)
    name, email = checker.text("name", 100), checker.text("email", 254, EMAIL)
    basket = _in_hand(request, fields)
    password = _new_password(checker)

    def write(db: Session, account: Account) -> SignedIn:
        front.design.add_account(db, account)
        return _let_in(front, db, email, basket)

    return await _hashed(
        front,
        request,
        "register",
        None,
        lambda _: Account(email, name, new_secret(password)),
        write,
    )


async def _sign_in(request: web.Request, fields: Any) -> SignedIn:
    front, checker = request.app[QUERY_SERVICE], Checker(fields)
    email, password = checker.text("email", 254), checker.text("password", LONGEST_PASSWORD)
    basket = _in_hand(request, fields)
    checker.finish()

    def prove(account: Account | None) -> str:
        if account is not None and account.expired:
            raise PasswordExpired("we have a new shop; please set a new password for your account")
        if account is None or not fits(password, account.secret):
            raise WrongPassword("try again, register, or set a new password")
        return account.email

    return await _hashed(
        front,
        request,
        "sign_in",
        lambda db: front.design.account(db, email),
        prove,
        lambda db, proved: _let_in(front, db, proved, basket),
    )


async def _ask_reset(request: web.Request, fields: Any) -> str:
    front, checker = request.app[QUERY_SERVICE], Checker(fields)
    email = checker.text("email", 254, EMAIL)
    checker.finish()
    return await front.ask("ask_reset", lambda db: front.design.ask_reset(db, email), request[TIMING])


async def _set_password(request: web.Request, fields: Any) -> SignedIn:
    front, checker = request.app[QUERY_SERVICE], Checker(fields)
    code, basket = checker.text("code", 64), _in_hand(request, fields)
    password = _new_password(checker)

    def write(db: Session, secret: Any) -> SignedIn:
        return _let_in(front, db, front.design.set_password(db, code, secret), basket)

    return await _hashed(
        front,
        request,
        "set_password",
        lambda db: front.design.reset_for(db, code),
        lambda _: new_secret(password),
        write,
    )


async def _hashed(
    front: QueryService,
    request: web.Request,
    kind: str,
    look: Callable[[Session], T] | None,
    digest: Callable[[T | None], U],
    write: Callable[[Session, U], SignedIn],
) -> SignedIn:
    """Look something up, work out a digest, write: on one worker, or with the digest on another thread."""
    timing = request[TIMING]
    if front.profile.waits_on_worker:
        return await front.ask(kind, lambda db: write(db, digest(None if look is None else look(db))), timing)
    found = None if look is None else await front.ask(kind, look, timing)
    digested = await front.hash(lambda: digest(found))
    return await front.ask(kind, lambda db: write(db, digested), timing)


def _in_hand(request: web.Request, fields: Any) -> str | None:
    """The basket that a guest has filled so far: an app names it, a browser has it in a cookie."""
    named = fields.get("basket") if isinstance(fields, dict) else None
    return named if isinstance(named, str) else basket_cookie(request)


def _let_in(front: QueryService, db: Session, email: str, basket: str | None) -> SignedIn:
    session = front.design.open_session(db, email)
    own = None if basket is None else front.design.take_along(db, email, basket)
    return SignedIn(email, session, own)


def _new_password(checker: Checker) -> str:
    password = checker.text("password", LONGEST_PASSWORD)
    if 0 < len(password) < SHORTEST_PASSWORD:
        checker.wrong("password", f"must be at least {SHORTEST_PASSWORD} characters (got {len(password)})")
    checker.finish()
    return password


def _session(request: web.Request) -> str:
    session = session_of(request)
    if session is None:
        raise SignedOut("sign in to see your orders")
    return session


def _token(signed_in: SignedIn) -> web.Response:
    document = {"email": signed_in.email, "token": signed_in.session}
    if signed_in.basket is not None:
        document["basket"] = signed_in.basket
    return answer(document, status=201)


def _welcome(signed_in: SignedIn) -> web.Response:
    response = see_other("/account")
    response.set_cookie(SESSION_COOKIE, signed_in.session, httponly=True, samesite="Lax", path="/")
    return response
