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
from doorbuster.shop.http.query_service import QUERY_SERVICE
from doorbuster.shop.http.responses import answer, html
from doorbuster.shop.refusals import Busy, HoldingPage
from doorbuster.shop_settings import WaitingRoomSettings

QUEUE_PATH = "/queue/"
COOKIES = {"cloudflare": "__cfwaitingroom", "queue-it": "QueueITAccepted"}
ROOM_TOKEN = web.RequestKey("room_token", str)
_LET_THROUGH = (
    "/ledger/", "/control/", "/healthz", "/static/", "/api/staff/", "/api/till/", "/api/phone/", "/api/feed",
    "/api/partner/",
)  # fmt: skip
_STAFF = frozenset({"store", "phone", "partner"})


@web.middleware
async def waiting_room_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admit the request, send it to the waiting room, or answer with the holding page."""
    shop = request.app[QUERY_SERVICE]
    if request.path.startswith(_LET_THROUGH) or request.headers.get("X-Channel") in _STAFF:
        return await handler(request)
    room = shop.waiting_room
    if room is not None:
        place = room.ask(request.cookies.get(COOKIES[room.settings.style]))
        request[ROOM_TOKEN] = place.token
        if room.settings.style == "queue-it" and request.path == QUEUE_PATH:
            return _wait(request, room.settings, place) if place.position else _back(request)
        if place.position:
            return _stop(request, room.settings, place)
    reload_s = shop.settings.holding_page_s
    if reload_s is None or _is_program(request):
        return await handler(request)
    if shop.workers.waiting >= shop.settings.queue_limit:
        raise HoldingPage(reload_s)
    try:
        return await handler(request)
    except Busy as busy:
        raise HoldingPage(reload_s) from busy


def remember_place(request: web.Request, response: web.StreamResponse) -> None:
    """Set the cookie with the customer's queue token on any response."""
    token = request.get(ROOM_TOKEN)
    room = request.app[QUERY_SERVICE].waiting_room
    if token is not None and room is not None:
        response.set_cookie(COOKIES[room.settings.style], token, httponly=True, samesite="Lax", path="/")


def _stop(request: web.Request, settings: WaitingRoomSettings, place: QueuePosition) -> web.Response:
    """The response to a customer who has to wait."""
    if settings.style == "cloudflare":
        return _cloudflare_json(settings, place) if _is_program(request) else _wait(request, settings, place)
    here = request.path_qs if request.method == "GET" else "/"
    queue = f"{QUEUE_PATH}?c=larkspur&e=peak&t={quote(here, safe='')}"
    if _is_program(request):
        headers = {"x-queueit-redirect": quote(queue, safe=""), "Refresh": f"{settings.poll_s:g}"}
        return answer({}, status=settings.status, headers=headers)
    return web.Response(status=302, headers={"Location": queue, "Cache-Control": "no-store"})


def _back(request: web.Request) -> web.Response:
    """Where the customer wanted to go when they were sent to the queue; only ever within this shop."""
    target = request.query.get("t", "/")
    inside = target.startswith("/") and not target.startswith(("//", "/\\", QUEUE_PATH))
    return web.Response(status=302, headers={"Location": target if inside else "/"})


def _wait(request: web.Request, settings: WaitingRoomSettings, place: QueuePosition) -> web.Response:
    body = request.app[QUERY_SERVICE].pages.waiting(settings, place)
    response = html(request, body, status=settings.status)
    response.headers["Refresh"] = f"{settings.poll_s:g}"
    return response


def _cloudflare_json(settings: WaitingRoomSettings, place: QueuePosition) -> web.Response:
    room = {
        "inWaitingRoom": True,
        "waitTimeKnown": True,
        "waitTime": math.ceil(place.position / settings.admit_per_s / 60),  # minutes
        "queueIsFull": False,
        "queueingMethod": "fifo",
        "refreshIntervalSeconds": settings.poll_s,
    }
    return answer(
        {"cfWaitingRoom": room}, status=settings.status, headers={"Refresh": f"{settings.poll_s:g}"}
    )


def _is_program(request: web.Request) -> bool:
    return request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", "")
