"""The web application: its routes, and the middleware that completes every response."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from doorbuster.shop.designs.schema import open_database
from doorbuster.shop.http import (
    accounts_api,
    catalogue_api,
    checkout_api,
    fault_control,
    ledger_api,
    metrics_page,
    reviews_api,
    staff_api,
)
from doorbuster.shop.http.open_shop import OPEN_SHOP, TIMING, OpenShop
from doorbuster.shop.http.responses import html_response, is_api, json_response
from doorbuster.shop.http.waiting_room_middleware import set_queue_cookie, waiting_room_middleware
from doorbuster.shop.http_errors import NotFound, Refusal
from doorbuster.shop.infrastructure.database_workers import DatabaseWorkers, Timing
from doorbuster.shop.infrastructure.tracing import RequestTrace, sampled_parent
from doorbuster.shop_settings import ShopSettings

MAX_BODY_BYTES = 64 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
_STYLE_MAX_AGE_S = 3_600
_NOT_METERED = ("/metrics", "/healthz", "/ledger/", "/control/")
_LOG = logging.getLogger(__name__)


def make_app(settings: ShopSettings, workers: DatabaseWorkers) -> web.Application:
    """The shop with a database in `settings.folder`, which must be set, on these workers.

    Raises UsageError if the database cannot be created or reused there.
    """
    assert settings.folder is not None, "the server gives every shop a folder"
    guarded = settings.waiting_room is not None or settings.holding_page_s is not None
    middlewares = [_complete_response, waiting_room_middleware] if guarded else [_complete_response]
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=middlewares)
    app[OPEN_SHOP] = OpenShop(settings, open_database(settings, settings.folder), workers)
    app.cleanup_ctx.append(_run_background_threads)
    app.add_routes(_ROUTES)
    return app


async def _run_background_threads(app: web.Application) -> AsyncIterator[None]:
    app[OPEN_SHOP].open()
    yield
    await app[OPEN_SHOP].close()


@web.middleware
async def _complete_response(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time the response; add request id and timings; turn errors into a page or a document."""
    if request.path.startswith(_NOT_METERED):
        return await _answer(request, handler)
    shop = request.app[OPEN_SHOP]
    trace = _trace_of(request, shop)
    with shop.responding.used():
        response = await _answer(request, handler)
        if shop.settings.page_cpu_s:
            _compute(shop.settings.page_cpu_s)
    shop.responses[f"{response.status // 100}xx"] += 1
    if trace is not None:
        failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        trace.end(f"{request.method} {_route(request)}", request[TIMING], failed=failed)
    return response


def _trace_of(request: web.Request, shop: OpenShop) -> RequestTrace | None:
    """The trace of a request that asks for one, if the shop sends spans."""
    if shop.spans is None:
        return None
    parent = sampled_parent(request.headers.get("traceparent", ""))
    synthetic = "synthetic_request=true" in request.headers.get("baggage", "")
    return None if parent is None else RequestTrace(shop.spans, parent, synthetic=synthetic)


def _route(request: web.Request) -> str:
    """The pattern of the path, so that spans of one kind have one name."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown path"


def _compute(seconds: float) -> None:
    """Use the processor in the event loop, as the rendering of a costly page does."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The response with its request id and timings."""
    sent = request.headers.get("X-Request-Id", "")
    request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)
    request[TIMING] = timing = Timing()
    try:
        response = await handler(request)
    except Refusal as refusal:
        response = _refusal_response(request, refusal)
    except web.HTTPException as error:
        response = _refusal_response(request, _refusal_from(request, error))
    except Exception:  # noqa: BLE001  logged, and answered with 500
        _LOG.exception("request %s %s %s failed", request_id, request.method, request.path)
        response = _refusal_response(
            request, _InternalError(f"Something went wrong; please quote {request_id}")
        )
    response.headers["X-Request-Id"] = request_id
    response.headers["Server-Timing"] = _server_timing(timing)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.content_type == "text/html":
        response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    if request.app[OPEN_SHOP].waiting_room is not None:
        set_queue_cookie(request, response)
    return response


class _InternalError(Refusal):
    slug = "broken"
    title = "Sorry, something went wrong"
    status = 500


def _refusal_from(request: web.Request, error: web.HTTPException) -> Refusal:
    """The refusal for an error of aiohttp: unknown path, wrong method, body too large."""
    if error.status == NotFound.status:
        return NotFound(f"there is nothing at {request.path}")
    refusal = Refusal(error.reason)
    refusal.status = error.status
    refusal.title = error.reason
    refusal.slug = error.reason.lower().replace(" ", "-")
    return refusal


def _refusal_response(request: web.Request, refusal: Refusal) -> web.Response:
    if is_api(request):
        document = {
            "type": f"/problems/{refusal.slug}",
            "title": refusal.title,
            "status": refusal.status,
            "detail": refusal.detail,
            "instance": request.path,
        }
        if refusal.problems:
            document["problems"] = [
                {"field": problem.field, "rule": problem.rule} for problem in refusal.problems
            ]
        response = json_response(document, status=refusal.status)
        response.content_type = "application/problem+json"
    else:
        body = request.app[OPEN_SHOP].pages.problem(refusal)
        response = html_response(request, body, status=refusal.status)
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.reload_s is not None:
        response.headers["Refresh"] = f"{refusal.reload_s:g}"
    return response


def _server_timing(timing: Timing) -> str:
    parts = [
        f'db;dur={timing.database_s * 1e3:.2f};desc="{timing.queries} queries"',
        f"queue;dur={timing.queue_s * 1e3:.2f}",
    ]
    if timing.cache:
        parts.append(f"cache;desc={timing.cache}")
    return ", ".join(parts)


async def _style(request: web.Request) -> web.Response:
    return _static(request.app[OPEN_SHOP].pages.style, "text/css")


async def _icon(request: web.Request) -> web.Response:
    return _static(request.app[OPEN_SHOP].pages.icon, "image/svg+xml")


def _static(body: bytes, content_type: str) -> web.Response:
    return web.Response(
        body=body,
        content_type=content_type,
        charset="utf-8",
        headers={"Cache-Control": f"public, max-age={_STYLE_MAX_AGE_S}"},
    )


_ROUTES = (
    web.get("/", catalogue_api.home),
    web.get("/category/{slug}", catalogue_api.category),
    web.get("/search", catalogue_api.search),
    web.get("/product/{sku}", catalogue_api.product),
    web.post("/product/{sku}/reviews", reviews_api.write_review),
    web.post("/product/{sku}/questions", reviews_api.ask_question),
    web.get("/questions", reviews_api.open_questions),
    web.post("/questions/{question}/answers", reviews_api.write_answer),
    web.get("/q/{code}", catalogue_api.landing),
    web.post("/basket/add", checkout_api.add_from_page),
    web.get("/basket", checkout_api.basket_page),
    web.get("/checkout", checkout_api.checkout_form),
    web.post("/checkout", checkout_api.checkout),
    web.get("/order/{ref}", checkout_api.order),
    web.post("/order/{ref}/return", staff_api.return_order),
    web.get("/sign-in", accounts_api.sign_in_page),
    web.post("/sign-in", accounts_api.sign_in),
    web.post("/register", accounts_api.register),
    web.post("/reset-password", accounts_api.ask_reset),
    web.post("/new-password", accounts_api.set_password),
    web.get("/account", accounts_api.history),
    web.get("/static/shop.css", _style),
    web.get("/static/icon.svg", _icon),
    web.get("/api/home", catalogue_api.home),
    web.get("/api/categories/{slug}", catalogue_api.category),
    web.get("/api/search", catalogue_api.search),
    web.get("/api/products/{sku}", catalogue_api.product),
    web.get("/api/products/{sku}/recommendations", catalogue_api.recommendations),
    web.get("/api/products/{sku}/reviews", reviews_api.reviews),
    web.post("/api/products/{sku}/reviews", reviews_api.write_review),
    web.post("/api/products/{sku}/questions", reviews_api.ask_question),
    web.get("/api/questions", reviews_api.open_questions),
    web.post("/api/questions/{question}/answers", reviews_api.write_answer),
    web.get("/api/codes/{code}", catalogue_api.landing),
    web.post("/api/accounts", accounts_api.register),
    web.post("/api/sessions", accounts_api.sign_in),
    web.post("/api/password-resets", accounts_api.ask_reset),
    web.post("/api/passwords", accounts_api.set_password),
    web.get("/api/account/orders", accounts_api.history),
    web.get("/api/stores", staff_api.stores),
    web.post("/api/baskets", checkout_api.new_basket),
    web.get("/api/baskets/{basket}", checkout_api.basket),
    web.post("/api/baskets/{basket}/lines", checkout_api.add),
    web.post("/api/orders", checkout_api.place),
    web.get("/api/orders/{ref}", checkout_api.order),
    web.post("/api/orders/{ref}/returns", staff_api.return_order),
    web.post("/api/staff/orders/{ref}/pickup", staff_api.pickup),
    web.post("/api/staff/orders/{ref}/cancel", staff_api.cancel),
    web.post("/api/staff/products/{sku}/price", staff_api.change_price),
    web.post("/api/staff/products/{sku}/stock", staff_api.change_stock),
    web.get("/api/feed", staff_api.feed),
    web.post("/api/partner/orders", checkout_api.partner_order),
    web.post("/api/till/sales", checkout_api.pos_sale),
    web.post("/api/phone/orders", checkout_api.phone_order),
    web.get("/ledger/orders", ledger_api.orders),
    web.get("/ledger/stock", ledger_api.stock),
    web.get("/ledger/backlog", ledger_api.backlog),
    web.get("/ledger/range", ledger_api.catalogue),
    web.get("/ledger/capacity", ledger_api.capacity),
    web.post("/control/faults", fault_control.set_faults),
    web.get("/control/dependencies", fault_control.show_dependencies),
    web.get("/healthz", ledger_api.health),
    web.get("/metrics", metrics_page.metrics),
)
