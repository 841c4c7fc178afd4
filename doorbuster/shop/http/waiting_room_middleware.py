"""Middleware that admits requests: a waiting room or a holding page in front of every handler.

Ledger, control and static routes, staff and partners bypass it. The responses look like those of real
waiting rooms, whose status is often 200. Cloudflare-style: a page that reloads itself, or JSON for programs.
Queue-it-style: a redirect out to the queue's page and back, or the header `x-queueit-redirect` for programs.
"""

from __future__ import annotations

import math
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from doorbuster.shop.domain.waiting_room import QueuePosition
from doorbuster.shop.http.open_shop import OPEN_SHOP
from doorbuster.shop.http.responses import html_response, json_response
from doorbuster.shop.http_errors import Busy, HoldingPage
from doorbuster.shop_settings import WaitingRoomSettings

QUEUE_PATH = "/queue/"
COOKIES = {"cloudflare": "__cfwaitingroom", "queue-it": "QueueITAccepted"}
ROOM_TOKEN = web.RequestKey("room_token", str)
_BYPASS = (
    "/ledger/", "/control/", "/healthz", "/metrics", "/static/", "/api/staff/", "/api/till/", "/api/phone/",
    "/api/feed", "/api/partner/",
)  # fmt: skip
_STAFF = frozenset({"store", "phone", "partner"})


@web.middleware
async def waiting_room_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admit the request, send it to the waiting room, or answer with the holding page."""
    shop = request.app[OPEN_SHOP]
    if request.path.startswith(_BYPASS) or request.headers.get("X-Channel") in _STAFF:
        return await handler(request)
    room = shop.waiting_room
    if room is not None:
        queued = room.ask(request.cookies.get(COOKIES[room.settings.style]))
        request[ROOM_TOKEN] = queued.token
        if room.settings.style == "queue-it" and request.path == QUEUE_PATH:
            if queued.position == 0:
                return _redirect_back(request)
            return _waiting_page(request, room.settings, queued)
        if queued.position:
            return _waiting_response(request, room.settings, queued)
    reload_s = shop.settings.holding_page_s
    if reload_s is None or _is_program(request):
        return await handler(request)
    if shop.workers.waiting >= shop.settings.queue_limit:
        raise HoldingPage(reload_s)
    try:
        return await handler(request)
    except Busy as busy:
        raise HoldingPage(reload_s) from busy


def set_queue_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Set the cookie with the customer's queue token on any response."""
    token = request.get(ROOM_TOKEN)
    room = request.app[OPEN_SHOP].waiting_room
    if token is not None and room is not None:
        response.set_cookie(COOKIES[room.settings.style], token, httponly=True, samesite="Lax", path="/")


def _waiting_response(
    request: web.Request, settings: WaitingRoomSettings, queued: QueuePosition
) -> web.Response:
    """The response to a customer who has to wait."""
    if settings.style == "cloudflare":
        if _is_program(request):
            return _cloudflare_json(settings, queued)
        return _waiting_page(request, settings, queued)
    here = request.path_qs if request.method == "GET" else "/"
    queue = f"{QUEUE_PATH}?c=larkspur&e=peak&t={quote(here, safe='')}"
    if _is_program(request):
        headers = {"x-queueit-redirect": quote(queue, safe=""), "Refresh": f"{settings.poll_s:g}"}
        return json_response({}, status=settings.status, headers=headers)
    return web.Response(status=302, headers={"Location": queue, "Cache-Control": "no-store"})


def _redirect_back(request: web.Request) -> web.Response:
    """Redirect an admitted customer to the page they asked for; never to another site."""
    target = request.query.get("t", "/")
    inside = target.startswith("/") and not target.startswith(("//", "/\\", QUEUE_PATH))
    return web.Response(status=302, headers={"Location": target if inside else "/"})


def _waiting_page(request: web.Request, settings: WaitingRoomSettings, queued: QueuePosition) -> web.Response:
    body = request.app[OPEN_SHOP].pages.waiting(settings, queued)
    response = html_response(request, body, status=settings.status)
    response.headers["Refresh"] = f"{settings.poll_s:g}"
    return response


def _cloudflare_json(settings: WaitingRoomSettings, queued: QueuePosition) -> web.Response:
    room = {
        "inWaitingRoom": True,
        "waitTimeKnown": True,
        "waitTime": math.ceil(queued.position / settings.admit_per_s / 60),  # minutes
        "queueIsFull": False,
        "queueingMethod": "fifo",
        "refreshIntervalSeconds": settings.poll_s,
    }
    return json_response(
        {"cfWaitingRoom": room}, status=settings.status, headers={"Refresh": f"{settings.poll_s:g}"}
    )


def _is_program(request: web.Request) -> bool:
    return request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", "")
